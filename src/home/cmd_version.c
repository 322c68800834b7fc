/* `hourbell version`: the program's version and those of the libraries it runs with. */
#include "home/cmd.h"
#include "home/version.h"

#include <curl/curl.h>
#include <expat.h>
#include <llhttp.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <utf8proc.h>
#include <uv.h>
#include <yyjson.h>

int cmd_version(const struct args *args)
{
    char llhttp[32];
    snprintf(llhttp, sizeof llhttp, "%d.%d.%d", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
             LLHTTP_VERSION_PATCH);
    XML_Expat_Version expat = XML_ExpatVersionInfo();
    char expat_version[32];
    snprintf(expat_version, sizeof expat_version, "%d.%d.%d", expat.major, expat.minor,
             expat.micro);
    const struct {
        const char *name, *version;
    } rows[] = {
        {"hourbell", HOURBELL_VERSION},
        {"expat", expat_version},
        {"libcurl", curl_version_info(CURLVERSION_NOW)->version},
        {"libuv", uv_version_string()},
        {"llhttp", llhttp},
        {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
        {"sqlite", sqlite3_libversion()},
        {"utf8proc", utf8proc_version()},
        {"yyjson", YYJSON_VERSION_STRING},
    };
    bool json = args_has(args, "json");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (json) {
            printf("%s\"%s\":\"%s\"", i ? "," : "{", rows[i].name, rows[i].version);
        } else {
            printf(i ? "  %s %s\n" : "%s %s\n", rows[i].name, rows[i].version);
        }
    }
    if (json) {
        puts("}");
    }
    return EXIT_DONE;
}
