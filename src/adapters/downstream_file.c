/* From a file to a working port, for a home. What the members mean is left to sap_config.c and http_config.c. */
#include "adapters/downstream_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapters/downstream_http.h"
#include "adapters/downstream_odata.h"
#include "adapters/http_client.h"

/* What stands behind an opened port. */
struct opened {
    struct downstream *port;
    struct transport *transport;
    struct arena arena; /* texts of the configuration */
    struct sap_config sap;
    struct http_config http;
    bool odata;
    struct opened *next;
};
static struct opened *all_opened; /* homes open one or two, from one thread */

static void fd_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

enum rc downstream_file_read(struct call *call, struct str path, struct str *ret_text)
{
    struct str name = arena_copy(call->arena, path);
    CLEANUP(fd_close) int fd = open(name.s, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return call_why(call, RC_NOT_FOUND, "%s: %s", name.s, strerrordesc_np(errno));
    }
    char *bytes = arena_alloc(call->arena, DOWNSTREAM_FILE_MAX_BYTES + 1);
    size_t size = 0;
    while (size <= DOWNSTREAM_FILE_MAX_BYTES) {
        ssize_t got = read(fd, bytes + size, DOWNSTREAM_FILE_MAX_BYTES + 1 - size);
        if (got < 0 && errno != EINTR) {
            return call_why(call, RC_BROKEN, "%s: %s", name.s, strerrordesc_np(errno));
        }
        if (got == 0) {
            *ret_text = (struct str){bytes, size};
            return RC_OK;
        }
        size += got > 0 ? (size_t)got : 0;
    }
    return call_refuse(call, PROBLEM_body_too_large, "%s is larger than %zu bytes", name.s,
                       DOWNSTREAM_FILE_MAX_BYTES);
}

static void opened_free(struct opened *opened)
{
    if (opened->odata) {
        downstream_odata_close(opened->port);
    } else {
        downstream_http_close(opened->port);
    }
    http_client_transport_close(opened->transport);
    sap_config_close(&opened->sap);
    arena_close(&opened->arena);
    free(opened);
}

static enum rc open_port(struct call *call, struct opened *opened, struct str json,
                         struct secrets *secrets, int slots)
{
    struct http_client_options options = {0};
    if (opened->odata) {
        TRY(sap_config_read(call, &opened->arena, json, &opened->sap));
    } else {
        TRY(http_config_read(call, &opened->arena, json, &opened->http));
    }
    options.proxy = opened->odata ? opened->sap.proxy : opened->http.proxy;
    options.ca_file = opened->odata ? opened->sap.ca_file : opened->http.ca_file;
    TRY(http_client_transport_open(call, &options, slots, &opened->transport));
    if (opened->odata) {
        return downstream_odata_open(call, &opened->sap, opened->transport, secrets, slots,
                                     &opened->port);
    }
    return downstream_http_open(call, &opened->http, opened->transport, secrets, slots,
                                &opened->port);
}

/* call->why gets the name in front, and the line of what was named first. */
static enum rc told(struct call *call, enum rc rc, struct str name, struct str json)
{
    if (rc == RC_INVALID && call->item_count) {
        return call_why(call, rc, STR_FMT ":%d", STR_ARG(name),
                        json_line(call->arena, json, call->items[0].pointer));
    }
    return call_why(call, rc, STR_FMT, STR_ARG(name));
}

enum rc downstream_file_open_text(struct call *call, struct str kind, struct str name,
                                  struct str json, struct secrets *secrets, int slots,
                                  struct downstream **ret_downstream)
{
    struct opened *opened = calloc(1, sizeof(*opened));
    if (!opened) {
        abort();
    }
    arena_open(&opened->arena, 0);
    opened->odata = str_is(kind, "odata");
    enum rc rc = open_port(call, opened, json, secrets, slots + 1);
    if (rc != RC_OK) {
        opened_free(opened);
        return told(call, rc, name, json);
    }
    opened->next = all_opened;
    all_opened = opened;
    *ret_downstream = opened->port;
    return RC_OK;
}

enum rc downstream_file_open(struct call *call, struct str kind, struct str path,
                             struct secrets *secrets, int slots, struct downstream **ret_downstream)
{
    struct str json;
    if (!str_is(kind, "odata") && !str_is(kind, "http")) {
        return call_refuse(call, PROBLEM_invalid_parameter,
                           "downstream: " STR_FMT " is neither odata nor http", STR_ARG(kind));
    }
    TRY(downstream_file_read(call, path, &json));
    return downstream_file_open_text(call, kind, path, json, secrets, slots, ret_downstream);
}

static struct opened **find(const struct downstream *port)
{
    struct opened **link = &all_opened;
    while (*link && (*link)->port != port) {
        link = &(*link)->next;
    }
    return link;
}

const struct sap_config *downstream_file_sap(const struct downstream *port)
{
    const struct opened *opened = *find(port);
    return opened && opened->odata ? &opened->sap : NULL;
}

void downstream_file_close(struct downstream *port)
{
    struct opened **link = find(port), *opened = *link;
    if (port && opened) {
        *link = opened->next;
        opened_free(opened);
    }
}
