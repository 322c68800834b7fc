/* Calls that this project does not make: naming one of them is a compile error.
 *
 * The build includes this file before every source of ours (-include), never before a library's. System headers come
 * first, so that their own declarations stay legal; a library's header that names one of these must be added here.
 * What to use instead: arena and text_* for strings, snprintf for formats, text_to_i64 for numbers, the clock port
 * for time and random bytes, posix_spawn in tests for programs. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <alloca.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

/* no bound on what is written */
#pragma GCC poison strcpy strcat stpcpy sprintf vsprintf gets wcscpy wcscat
/* a bound that people misread: they may leave no NUL, or fill with NULs */
#pragma GCC poison strncpy strncat
/* state between calls, or a shared buffer */
#pragma GCC poison strtok strerror localtime gmtime ctime asctime ctime_r asctime_r
/* no way to say that it failed */
#pragma GCC poison atoi atol atoll atof
/* a guessable name, a stack that input may grow */
#undef alloca
#pragma GCC poison tmpnam tempnam mktemp alloca

/* Words that libraries also use for members and parameters, so only the call is refused. Time and chance come from the
 * clock port, or two homes and the simulator would differ; a shell reads more into a text than we meant. */
#pragma GCC diagnostic error "-Wdeprecated-declarations"
#define BANNED(why) __attribute__((deprecated(why)))
BANNED("time: ask the clock port") time_t time(time_t *);
BANNED("rand: ask the clock port for random bytes") int rand(void);
BANNED("srand: ask the clock port for random bytes") void srand(unsigned);
BANNED("random: ask the clock port for random bytes") long random(void);
BANNED("srandom: ask the clock port for random bytes") void srandom(unsigned);
BANNED("drand48: ask the clock port for random bytes") double drand48(void);
BANNED("system: no shell; posix_spawn in tests") int system(const char *);
BANNED("popen: no shell; posix_spawn in tests") FILE *popen(const char *, const char *);
#undef BANNED

#endif
