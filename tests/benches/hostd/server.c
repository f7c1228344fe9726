// A server that a rolling update harms no request of: it answers on the socket that was handed over
// (descriptor 3), one request a connection, and when it is told to end it ends between two of them.

#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
static volatile sig_atomic_t ends;

static void on_end(int signal)
{
    (void)signal;
    ends = 1;
}

static void serve(int client)
{
    char request[4096];
    size_t length = 0;
    while (length < sizeof request) {
        ssize_t got = read(client, request + length, sizeof request - length);
        if (got <= 0)
            break;
        length += got;
        if (memmem(request, length, "\r\n\r\n", 4)) {
            if (write(client, answer, sizeof answer - 1) < 0)
                break;
            shutdown(client, SHUT_WR);
            break;
        }
    }
    close(client);
}

int main(void)
{
    sigset_t end, before;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, &before);
    struct sigaction action = {.sa_handler = on_end};
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    // Only here it can be told to end; another of its kind may be faster at the same connection.
    struct pollfd listener = {.fd = 3, .events = POLLIN};
    while (!ends) {
        if (ppoll(&listener, 1, NULL, &before) <= 0)
            continue;
        int client = accept4(3, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0)
            serve(client);
    }
    return 0;
}
