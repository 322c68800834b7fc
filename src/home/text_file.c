/* See text_file.h. */
#include "home/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int text_file_read(const struct args *args, const char *path, size_t max_bytes,
                   struct str *ret_text)
{
    size_t room_bytes = max_bytes + 1, len = 0;
    char *room = arena_alloc(args->arena, room_bytes);
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && len < room_bytes) {
        got = read(fd, room + len, room_bytes - len);
        len += got > 0 ? (size_t)got : 0;
    }
    int failed = errno;
    if (fd >= 0 && !standard) {
        close(fd);
    }
    if (got < 0) {
        return command_fail(args, EXIT_INVALID, "%s: %s", path, strerrordesc_np(failed));
    }
    if (len == room_bytes) {
        return command_fail(args, EXIT_INVALID, "%s has more than %zu bytes", path, max_bytes);
    }
    *ret_text = (struct str){room, len};
    return EXIT_DONE;
}
