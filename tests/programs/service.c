// A service that behaves, or not, as it is told: it writes down when it starts, is ready and ends,
// and serves HTTP. What a test of hostd needs a program for, in one that starts at once.
//
//   service NAME [WORD...]
//     port      listen on $HOST:$PORT
//     socket    listen on the socket that was handed over (descriptor 3)
//     notify    say READY=1 when it serves
//     alone     write "double" down if another one of this name runs
//     host      answer with $HOST instead of $TAG
//     wait      be ready only when there is a file `go` beside the journal
//
// Its journal is $JOURNAL/NAME, one line each: what, $TAG, and nanoseconds since the host started.
// A file `sick` beside it makes every answer a 503.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 512, REQUEST = 4096 };

struct client {
    int fd, length;
    char request[REQUEST];
};

static struct client clients[CLIENTS];
static int count, journal = -1, ends, wakes[2];
static const char *tag, *folder, *name;

static void note(const char *what)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char line[256];
    int length = snprintf(line, sizeof line, "%s %s %lld\n", what, tag,
                          now.tv_sec * 1000000000LL + now.tv_nsec);
    if (write(journal, line, length) != length)
        _exit(90);
}

static int beside(const char *file)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return access(path, F_OK) == 0;
}

static void on_end(int signal)
{
    (void)signal;
    ends = 1;
    (void)!write(wakes[1], "", 1);
}

static void open_journal(int alone)
{
    char path[512];
    folder = getenv("JOURNAL");
    tag = getenv("TAG") ? getenv("TAG") : "-";
    snprintf(path, sizeof path, "%s/%s", folder, name);
    umask(0); // several apps, each with a uid of its own, may write one journal
    journal = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (journal < 0) {
        perror(path);
        _exit(91);
    }
    note("start");
    if (alone && flock(journal, LOCK_EX | LOCK_NB) != 0)
        note("double");
}

static int listen_on(void)
{
    const char *host = getenv("HOST"), *port = getenv("PORT");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (!host || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        address.sin_addr.s_addr = INADDR_ANY;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (void *)&address, sizeof address) != 0 || listen(fd, 512) != 0) {
        perror("bind");
        _exit(92);
    }
    return fd;
}

static void say_ready(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, getenv("NOTIFY_SOCKET"), sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sendto(fd, "READY=1", 7, 0, (void *)&address, sizeof address) != 7)
        perror("notify");
    close(fd);
}

static void take_clients(int listener)
{
    int fd;
    while (count < CLIENTS && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        clients[count++] = (struct client){.fd = fd};
}

// Read what there is, and answer what is whole; 0 when the client is done with.
static int serve(struct client *client)
{
    ssize_t got = recv(client->fd, client->request + client->length,
                       REQUEST - 1 - client->length, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return 1;
    if (got <= 0)
        return 0;
    client->length += got;
    client->request[client->length] = 0;
    if (!strstr(client->request, "\r\n\r\n"))
        return client->length < REQUEST - 1;
    char body[256], answer[512];
    int length = snprintf(body, sizeof body, "%s %s\n", name, tag);
    const char *status = beside("sick") ? "503 Service Unavailable" : "200 OK";
    length = snprintf(answer, sizeof answer,
                      "HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status,
                      length, body);
    (void)!send(client->fd, answer, length, MSG_NOSIGNAL);
    return 0;
}

static void drop(int place)
{
    close(clients[place].fd);
    clients[place] = clients[--count];
}

// Serve until it is asked to end, and then whoever is connected.
static void work(int listener)
{
    static struct pollfd all[CLIENTS + 2];
    while (!ends || count > 0) {
        int open = ends ? -1 : listener;
        all[0] = (struct pollfd){.fd = wakes[0], .events = ends ? 0 : POLLIN};
        all[1] = (struct pollfd){.fd = open, .events = POLLIN};
        for (int place = 0; place < count; place++)
            all[place + 2] = (struct pollfd){.fd = clients[place].fd, .events = POLLIN};
        if (poll(all, count + 2, -1) < 0)
            continue;
        for (int place = count - 1; place >= 0; place--)
            if (all[place + 2].revents && !serve(&clients[place]))
                drop(place);
        if (!ends && all[1].revents)
            take_clients(listener);
    }
}

int main(int words, char **word)
{
    int listener = -1, alone = 0, notify = 0, waits = 0, port = 0, handed = 0, host = 0;
    name = word[1];
    for (int place = 2; place < words; place++) {
        alone |= !strcmp(word[place], "alone");
        notify |= !strcmp(word[place], "notify");
        waits |= !strcmp(word[place], "wait");
        port |= !strcmp(word[place], "port");
        host |= !strcmp(word[place], "host");
        handed |= !strcmp(word[place], "socket");
    }
    if (pipe2(wakes, O_CLOEXEC | O_NONBLOCK) != 0)
        return 93;
    struct sigaction act = {.sa_handler = on_end};
    sigaction(SIGTERM, &act, NULL);
    open_journal(alone);
    if (host)
        tag = getenv("HOST");
    while (waits && !beside("go") && !ends)
        usleep(5000);
    if (port)
        listener = listen_on();
    if (handed) {
        listener = 3;
        fcntl(listener, F_SETFL, O_NONBLOCK);
    }
    if (notify && !ends) {
        // In this order: what follows from the word may be noted at once by another.
        note("ready");
        say_ready();
    }
    work(listener);
    note("end");
    return 0;
}
