/* Log lines of one turn in one write: a line per request must not cost a system call per request. Lines
 * come from any thread; they leave when the loop has done its turn, or when the room is full. */
#ifndef HOME_LOG_LINES_H
#define HOME_LOG_LINES_H

#include "base/diag.h"

/* Take the lines of base/diag from now on. */
void log_lines_open(enum diag_level most);
/* Write what waits to standard error. safe: from any thread. */
void log_lines_flush(void);

#endif
