/* Waits for what arrives: prints the port it waits at, goes on when its standard input ends, and
 * prints what has arrived until then. Its argument is a word of dial.h. */

#include "dial.h"
#include <poll.h>

static void tell_port(int fd)
{
	union address own;
	socklen_t size = sizeof own;

	getsockname(fd, &own.any, &size);
	printf("port %d\n", ntohs(own.v4.sin_port));
	fflush(stdout);
}

static void wait_for_end(void)
{
	char byte;

	alarm(60);
	while (read(0, &byte, 1) > 0)
		;
}

static void tell_connections(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	/* The client's last packet, which makes a connection of it, may still be on its way. */
	poll(&one, 1, 300);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (accept(fd, NULL, NULL) != -1)
		printf("connection\n");
}

/* Datagrams, in their order; `answer` sends each back. */
static void tell_datagrams(int fd, int answer)
{
	union address from;
	socklen_t size = sizeof from;
	char text[256];
	ssize_t length;

	while ((length = recvfrom(fd, text, sizeof text - 1, MSG_DONTWAIT, &from.any, &size)) >= 0) {
		text[length] = 0;
		printf("datagram %s\n", text);
		if (answer && sendto(fd, text, length, 0, &from.any, size) == -1)
			printf("answer: %s\n", strerrorname_np(errno));
		size = sizeof from;
	}
}

static void must(long result, const char *what)
{
	if (result != -1)
		return;
	printf("%s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

int main(int argc, char **argv)
{
	struct call call = call_of(argv[argc - 1]);
	int fd = open_for(&call);
	int on = 1;

	/* As every server does: the last connection of the one before may still be on its way out. */
	if (call.type == SOCK_STREAM)
		must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
	if (!strcmp(call.verb, "bound") || !strcmp(call.verb, "receive") || !strcmp(call.verb, "answer"))
		must(bind(fd, &call.first.any, size_of(&call.first)), "bind");
	if (!strcmp(call.verb, "ask"))
		must(send_to(fd, 0, &call.first), "ask");
	if (!strcmp(call.verb, "connected"))
		must(dial(fd, &call.first), "connect");
	if (call.type == SOCK_STREAM)
		must(listen(fd, 8), "listen");
	tell_port(fd);
	wait_for_end();
	if (call.type == SOCK_STREAM)
		tell_connections(fd);
	else
		tell_datagrams(fd, !strcmp(call.verb, "answer"));
	if (call.second.any.sa_family)
		printf("aside: %s\n", send_to(fd, 0, &call.second) == -1 ? strerrorname_np(errno) : "sent");
	return 0;
}
