/* Words that name what an attacker does with a socket: `VERB/PROTOCOL/ADDRESS/PORT`, and a second
 * `/ADDRESS/PORT` for verbs that start where they may and go on to where they may not. */

#ifndef DIAL_H
#define DIAL_H

#include "attempt.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* What every datagram carries, for whoever looks for it outside. */
#define MARKER "hostctl-escape"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct call {
	const char *verb;
	int type, protocol;
	union address first, second;
};

static inline socklen_t size_of(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

static inline union address address_of(const char *text, const char *port)
{
	union address result = { 0 };

	if (inet_pton(AF_INET, text, &result.v4.sin_addr) == 1) {
		result.v4.sin_family = AF_INET;
		result.v4.sin_port = htons(atoi(port));
	} else if (inet_pton(AF_INET6, text, &result.v6.sin6_addr) == 1) {
		result.v6.sin6_family = AF_INET6;
		result.v6.sin6_port = htons(atoi(port));
	} else {
		fprintf(stderr, "%s is no address\n", text);
		exit(2);
	}
	return result;
}

static inline struct call call_of(const char *word)
{
	char *text = strdup(word), *rest = text, *part[6] = { 0 };
	struct call call = { 0 };
	int count = 0;

	while (count < 6 && (part[count] = strsep(&rest, "/")))
		count++;
	if (count < 4) {
		fprintf(stderr, "%s is no call\n", word);
		exit(2);
	}
	call.verb = part[0];
	call.type = part[1][0] == 'u' ? SOCK_DGRAM : SOCK_STREAM;
	if (!strcmp(part[1], "mptcp"))
		call.protocol = IPPROTO_MPTCP;
	if (!strcmp(part[1], "udplite"))
		call.protocol = IPPROTO_UDPLITE;
	call.first = address_of(part[2], part[3]);
	if (count == 6)
		call.second = address_of(part[4], part[5]);
	return call;
}

/* A socket for a call; nothing that is tried on it may take longer than a slow machine needs. */
static inline int open_for(const struct call *call)
{
	int on = 1, fd = socket(call->first.any.sa_family, call->type, call->protocol);

	alarm(30);
	if (fd == -1)
		_exit(errno);
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
	return fd;
}

static inline long dial(int fd, const union address *to)
{
	return connect(fd, &to->any, size_of(to));
}

static inline long send_to(int fd, int flags, const union address *to)
{
	return sendto(fd, MARKER, sizeof MARKER, flags, &to->any, size_of(to));
}

#endif
