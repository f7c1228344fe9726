// The program of an idle app: says that it runs, then waits for ever. To hostd it says READY=1
// (sd_notify(3)); who gives it no $NOTIFY_SOCKET gets a line on its standard output.

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un there = {.sun_family = AF_UNIX};
    if (path == NULL) {
        if (write(1, "\n", 1) != 1)
            return 1;
    } else if (strlen(path) < sizeof there.sun_path) {
        memcpy(there.sun_path, path, strlen(path));
        socklen_t length = offsetof(struct sockaddr_un, sun_path) + strlen(path);
        if (*path == '@')
            there.sun_path[0] = 0;
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&there, length) != 7)
            return 2;
        close(fd);
    }
    for (;;)
        pause();
}
