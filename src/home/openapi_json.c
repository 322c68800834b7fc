/* Links src/home/openapi.json into the program's read-only data. The assembler reads the file, so the build runs in
 * the repository's root and the Makefile names the file as what this object depends on. */
#include "home/openapi_json.h"

__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "openapi_json_begin:\n"
        ".incbin \"src/home/openapi.json\"\n"
        "openapi_json_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char openapi_json_begin[], openapi_json_end[];

struct str openapi_json(void)
{
    return (struct str){openapi_json_begin, (size_t)(openapi_json_end - openapi_json_begin)};
}
