/* A whole file, or standard input, as a text. */
#ifndef HOME_TEXT_FILE_H
#define HOME_TEXT_FILE_H

#include "home/command.h"

/* in: path: "-" is standard input. out: EXIT_DONE, or EXIT_INVALID after telling why; ret_text in args->arena */
int text_file_read(const struct args *, const char *path, size_t max_bytes, struct str *ret_text);

#endif
