// Sends standard input to a Unix socket and writes what comes back to standard output: a client that
// can be started as any user.

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int copy(int from, int to)
{
    char bytes[65536];
    ssize_t length;
    while ((length = read(from, bytes, sizeof bytes)) > 0)
        for (ssize_t done = 0, more; done < length; done += more)
            if ((more = write(to, bytes + done, length - done)) <= 0)
                return -1;
    return length < 0 ? -1 : 0;
}

int main(int words, char **word)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (words < 2 || strlen(word[1]) >= sizeof address.sun_path)
        return 2;
    strcpy(address.sun_path, word[1]);
    if (connect(fd, (void *)&address, sizeof address) != 0) {
        perror(word[1]);
        return 1;
    }
    copy(STDIN_FILENO, fd);
    return copy(fd, STDOUT_FILENO) == 0 ? 0 : 1;
}
