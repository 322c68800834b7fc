/* libcurl, loaded when it is first needed. It brings some thirty libraries along (TLS, LDAP, Kerberos, SSH ...), which cost
 * every start 4 ms and 4 MiB, though a server that has nothing to deliver, or `hourbell help`, calls none of it. So the
 * program is not linked against it: the functions below have its names, find the real ones at the first call, and hand
 * on. Everybody else includes curl/curl.h and notices nothing. A new function of libcurl is one line here.
 * Rule: curl_global_init is asked first and says if libcurl cannot be loaded; after that every function is there. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/base.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define CURL_LIBRARY "libcurl.so.4"
#if LIBCURL_VERSION_NUM >= 0x080000
#define CURL_8_CONST const /* libcurl 8 added it to a parameter */
#else
#define CURL_8_CONST
#endif

/* X(returned type, name, (parameters), (arguments)) */
/* clang-format off */
#define FUNCTIONS(X) \
    X(curl_version_info_data *, curl_version_info, (CURLversion version), (version)) \
    X(CURL *, curl_easy_init, (void), ()) \
    X(CURLcode, curl_easy_perform, (CURL *easy), (easy)) \
    X(const char *, curl_easy_strerror, (CURLcode code), (code)) \
    X(CURLM *, curl_multi_init, (void), ()) \
    X(CURLMcode, curl_multi_add_handle, (CURLM *multi, CURL *easy), (multi, easy)) \
    X(CURLMcode, curl_multi_remove_handle, (CURLM *multi, CURL *easy), (multi, easy)) \
    X(CURLMcode, curl_multi_perform, (CURLM *multi, int *running), (multi, running)) \
    X(CURLMcode, curl_multi_poll, (CURLM *multi, struct curl_waitfd *more, unsigned count, int wait_ms, int *ready), \
      (multi, more, count, wait_ms, ready)) \
    X(CURLMsg *, curl_multi_info_read, (CURLM *multi, int *left), (multi, left)) \
    X(CURLMcode, curl_multi_cleanup, (CURLM *multi), (multi)) \
    X(struct curl_slist *, curl_slist_append, (struct curl_slist *list, const char *line), (list, line)) \
    X(CURLUcode, curl_url_set, (CURLU *url, CURLUPart part, const char *text, unsigned flags), (url, part, text, flags)) \
    X(CURLUcode, curl_url_get, (CURL_8_CONST CURLU *url, CURLUPart part, char **text, unsigned flags), (url, part, text, flags))
#define PROCEDURES(X) \
    X(void, curl_easy_reset, (CURL *easy), (easy)) \
    X(void, curl_easy_cleanup, (CURL *easy), (easy)) \
    X(void, curl_slist_free_all, (struct curl_slist *list), (list)) \
    X(void, curl_url_cleanup, (CURLU *url), (url)) \
    X(void, curl_free, (void *piece), (piece))
/* those written out below: they may fail to load, or take a third argument of any type */
#define OTHERS(X) \
    X(CURLcode, curl_global_init, , ) X(CURLU *, curl_url, , ) \
    X(CURLcode, curl_easy_setopt, , ) X(CURLcode, curl_easy_getinfo, , ) X(CURLMcode, curl_multi_setopt, , )
/* clang-format on */

static struct {
    void *library;
#define X(type, name, parameters, arguments) __typeof__(name) *name;
    FUNCTIONS(X) PROCEDURES(X) OTHERS(X)
#undef X
} real;

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* POSIX asks for this detour: ISO C knows no conversion from an object's address to a function's. */
static void find(const char *name, void *ret_function)
{
    void *found = dlsym(real.library, name);
    if (!found) {
        fprintf(stderr, "hourbell: %s: there is no %s\n", CURL_LIBRARY, name);
        abort();
    }
    memcpy(ret_function, &found, sizeof found);
}

static void load(void)
{
    real.library = dlopen(CURL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!real.library) {
        fprintf(stderr, "hourbell: %s\n", dlerror());
        return;
    }
#define X(type, name, parameters, arguments) find(#name, &real.name);
    FUNCTIONS(X) PROCEDURES(X) OTHERS(X)
#undef X
}

static bool is_loaded(void)
{
    pthread_once(&once, load);
    return real.library != NULL;
}

/* For functions that have no way to say that there is no libcurl: whoever calls them has not asked curl_global_init. */
static void need(void)
{
    if (!is_loaded()) {
        abort();
    }
}

#define X(type, name, parameters, arguments)                                                       \
    type name parameters                                                                           \
    {                                                                                              \
        need();                                                                                    \
        return real.name arguments;                                                                \
    }
FUNCTIONS(X)
#undef X

#define X(type, name, parameters, arguments)                                                       \
    type name parameters                                                                           \
    {                                                                                              \
        need();                                                                                    \
        real.name arguments;                                                                       \
    }
PROCEDURES(X)
#undef X

CURLcode curl_global_init(long flags)
{
    return is_loaded() ? real.curl_global_init(flags) : CURLE_FAILED_INIT;
}

CURLU *curl_url(void)
{
    return is_loaded() ? real.curl_url() : NULL;
}

/* The type of the third argument is in the option's number: curl/curl.h, CURLOPTTYPE_ */
CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
    CURLcode code;
    va_list arguments;
    need();
    va_start(arguments, option);
    if (option < CURLOPTTYPE_OBJECTPOINT) {
        code = real.curl_easy_setopt(easy, option, va_arg(arguments, long));
    } else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB) {
        code = real.curl_easy_setopt(easy, option, va_arg(arguments, curl_off_t));
    } else {
        code = real.curl_easy_setopt(easy, option, va_arg(arguments, void *));
    }
    va_end(arguments);
    return code;
}

CURLcode curl_easy_getinfo(CURL *easy, CURLINFO info, ...)
{
    va_list arguments;
    need();
    va_start(arguments, info);
    CURLcode code = real.curl_easy_getinfo(easy, info, va_arg(arguments, void *));
    va_end(arguments);
    return code;
}

CURLMcode curl_multi_setopt(CURLM *multi, CURLMoption option, ...)
{
    CURLMcode code;
    va_list arguments;
    need();
    va_start(arguments, option);
    if ((int)option < CURLOPTTYPE_OBJECTPOINT) {
        code = real.curl_multi_setopt(multi, option, va_arg(arguments, long));
    } else {
        code = real.curl_multi_setopt(multi, option, va_arg(arguments, void *));
    }
    va_end(arguments);
    return code;
}
