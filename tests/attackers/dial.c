/* Binds, connects and sends as its arguments say: each is a word of dial.h. */

#include "dial.h"

static long shared(struct call *call)
{
	int on = 1, fd = open_for(call);

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on))
		return -1;
	return bind(fd, &call->first.any, size_of(&call->first));
}

static long bind_here(struct call *call)
{
	return bind(open_for(call), &call->first.any, size_of(&call->first));
}

/* An IPv4 address with the length of an IPv6 one. */
static long overlong(struct call *call)
{
	return connect(open_for(call), &call->first.any, sizeof call->first);
}

static long connect_there(struct call *call)
{
	int fd = open_for(call);

	if (dial(fd, &call->first))
		return -1;
	return send(fd, MARKER, sizeof MARKER, MSG_NOSIGNAL);
}

static long fastopen(struct call *call)
{
	return send_to(open_for(call), MSG_FASTOPEN | MSG_NOSIGNAL, &call->first);
}

static long fastopen_connect(struct call *call)
{
	int on = 1, fd = open_for(call);

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on))
		return -1;
	if (dial(fd, &call->first))
		return -1;
	return send(fd, MARKER, sizeof MARKER, MSG_NOSIGNAL);
}

static long send_there(struct call *call)
{
	return send_to(open_for(call), 0, &call->first);
}

static struct mmsghdr message(struct call *call, struct iovec *part)
{
	struct mmsghdr message = { .msg_hdr = {
		.msg_name = &call->first, .msg_namelen = size_of(&call->first),
		.msg_iov = part, .msg_iovlen = 1,
	} };

	*part = (struct iovec){ MARKER, sizeof MARKER };
	return message;
}

static long sendmsg_there(struct call *call)
{
	struct iovec part;
	struct mmsghdr one = message(call, &part);

	return sendmsg(open_for(call), &one.msg_hdr, 0);
}

static long sendmmsg_there(struct call *call)
{
	struct iovec parts[2];
	struct mmsghdr two[2] = { message(call, &parts[0]), message(call, &parts[1]) };

	return sendmmsg(open_for(call), two, 2, 0);
}

static long cork(struct call *call)
{
	return send_to(open_for(call), MSG_MORE, &call->first);
}

/* Begins a datagram to the first address and ends it to the second. */
static long appended(struct call *call)
{
	int fd = open_for(call);

	if (send_to(fd, MSG_MORE, &call->first) == -1)
		return -1;
	return send_to(fd, 0, &call->second);
}

/* Connected to the first address, dissolves that and connects to the second. */
static long again(struct call *call)
{
	struct sockaddr nothing = { .sa_family = AF_UNSPEC };
	int fd = open_for(call);

	if (dial(fd, &call->first) || connect(fd, &nothing, sizeof nothing))
		return -1;
	return dial(fd, &call->second);
}

/* Connected to the first address, sends to the second. */
static long aside(struct call *call)
{
	int fd = open_for(call);

	if (dial(fd, &call->first))
		return -1;
	return send_to(fd, 0, &call->second);
}

/* An IPv6 socket that is given an IPv4 address, with the bytes of a first one where an IPv6 address
 * would be looked for. */
static union address two_faced(struct call *call)
{
	union address both = call->first;

	both.v4.sin_family = AF_INET;
	both.v4.sin_port = call->second.v4.sin_port;
	both.v4.sin_addr = call->second.v4.sin_addr;
	return both;
}

static long disguised_connect(struct call *call)
{
	union address both = two_faced(call);

	return connect(open_for(call), &both.any, sizeof both.v6);
}

static long disguised_send(struct call *call)
{
	union address both = two_faced(call);

	return sendto(open_for(call), MARKER, sizeof MARKER, 0, &both.any, sizeof both.v6);
}

/* udp(7) takes an address of no family for one of its own. */
static long nameless_send(struct call *call)
{
	union address to = call->first;

	to.any.sa_family = AF_UNSPEC;
	return sendto(open_for(call), MARKER, sizeof MARKER, 0, &to.any, size_of(&call->first));
}

static const struct {
	const char *verb;
	long (*function)(struct call *);
} VERBS[] = {
	{ "bind", bind_here }, { "shared", shared }, { "connect", connect_there },
	{ "overlong", overlong }, { "fastopen", fastopen }, { "fastopen-connect", fastopen_connect },
	{ "send", send_there }, { "sendmsg", sendmsg_there }, { "sendmmsg", sendmmsg_there },
	{ "cork", cork }, { "appended", appended }, { "again", again }, { "aside", aside },
	{ "disguised-connect", disguised_connect }, { "disguised-send", disguised_send },
	{ "nameless-send", nameless_send },
};

static long perform(struct call *call)
{
	for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
		if (!strcmp(VERBS[i].verb, call->verb))
			return VERBS[i].function(call);
	fprintf(stderr, "%s is no verb\n", call->verb);
	_exit(255);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct call call = call_of(argv[i]);

		ATTEMPT(argv[i], perform(&call));
	}
	return verdict();
}
