/* Sends to a granted address by way of another: each argument is a word of dial.h, whose first
 * address is the granted one, the second the stop before it. With `answer` it waits at the first
 * port for a connection, which gets the route. */

#include "dial.h"
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/seg6.h>
#include <netinet/ip.h>

/* Types of IPv4 options (RFC 791). */
enum { RECORD = 7, LOOSE = 131, STRICT = 137 };

/* A source route with one stop and the end, or room to record two. */
static size_t v4_route(struct call *call, int type, unsigned char route[12])
{
	memset(route, 0, 12);
	route[0] = type;
	route[1] = 11;
	route[2] = 4;
	if (type != RECORD) {
		memcpy(route + 3, &call->second.v4.sin_addr, 4);
		memcpy(route + 7, &call->first.v4.sin_addr, 4);
	}
	return 12;
}

static size_t v6_route(struct call *call, int type, unsigned char route[40])
{
	memset(route, 0, 40);
	route[2] = type;
	route[3] = 1;
	if (type == 4) {
		route[1] = 4;
		route[4] = 1;
		memcpy(route + 8, &call->first.v6.sin6_addr, 16);
		memcpy(route + 24, &call->second.v6.sin6_addr, 16);
		return 40;
	}
	route[1] = 2;
	memcpy(route + 8, &call->second.v6.sin6_addr, 16);
	return 24;
}

/* The socket has the route for all it sends. */
static long standing(struct call *call, int level, int option, const void *route, size_t length)
{
	int fd = open_for(call);

	if (setsockopt(fd, level, option, route, length))
		return -1;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (call->type == SOCK_STREAM)
		return dial(fd, &call->first);
	return send_to(fd, 0, &call->first);
}

/* One datagram has it. */
static long once(struct call *call, int level, int option, const void *route, size_t length)
{
	char room[CMSG_SPACE(40)] = { 0 };
	struct iovec part = { MARKER, sizeof MARKER };
	struct msghdr message = {
		.msg_name = &call->first, .msg_namelen = size_of(&call->first),
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = room, .msg_controllen = CMSG_SPACE(length),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = level;
	header->cmsg_type = option;
	header->cmsg_len = CMSG_LEN(length);
	memcpy(CMSG_DATA(header), route, length);
	return sendmsg(open_for(call), &message, 0);
}

/* A flow label may carry a route too (IPV6_FLOWLABEL_MGR), which sends with the label then take. */
static long by_flow_label(struct call *call, const void *route, size_t length)
{
	struct {
		struct in6_flowlabel_req request;
		struct cmsghdr header;
		unsigned char route[40];
	} all = { .request = {
		.flr_dst = call->first.v6.sin6_addr, .flr_action = IPV6_FL_A_GET,
		.flr_share = IPV6_FL_S_EXCL, .flr_flags = IPV6_FL_F_CREATE,
	}, .header = {
		.cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_RTHDR, .cmsg_len = CMSG_LEN(length),
	} };
	int on = 1, fd = open_for(call);

	memcpy(all.route, route, length);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &all,
		       sizeof all.request + CMSG_SPACE(length)))
		return -1;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWINFO_SEND, &on, sizeof on))
		return -1;
	call->first.v6.sin6_flowinfo = all.request.flr_label;
	return send_to(fd, 0, &call->first);
}

/* A connection that somebody made. */
static int accepted(struct call *call)
{
	int fd, on = 1, listener = open_for(call);
	union address any = { .any.sa_family = call->first.any.sa_family };

	any.v4.sin_port = call->first.v4.sin_port;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, &any.any, size_of(&any)) || listen(listener, 1))
		return -1;
	fd = accept(listener, NULL, NULL);
	close(listener);
	return fd;
}

/* What is sent over it has the route, given in some way. */
static long answer(struct call *call, int option, const void *route, size_t length)
{
	int level = call->first.any.sa_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	int fd = accepted(call), tos = IPTOS_LOWDELAY;
	char room[CMSG_SPACE(40)] = { 0 };
	struct iovec part = { MARKER, sizeof MARKER };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *header = (struct cmsghdr *)room;

	if (fd == -1)
		return -1;
	header->cmsg_level = level;
	header->cmsg_type = option;
	header->cmsg_len = CMSG_LEN(length);
	memcpy(CMSG_DATA(header), route, length);
	if (strstr(call->verb, "once")) {
		message.msg_control = room;
		message.msg_controllen = CMSG_SPACE(length);
	} else if (strstr(call->verb, "2292")) {
		if (setsockopt(fd, level, 6 /* IPV6_2292PKTOPTIONS */, room, CMSG_SPACE(length)))
			return -1;
	} else if (setsockopt(fd, level, option, route, length)) {
		return -1;
	}
	/* Has the kernel look for a way anew: the connection was made without the route. */
	if (level == IPPROTO_IP)
		setsockopt(fd, level, IP_TOS, &tos, sizeof tos);
	return sendmsg(fd, &message, 0);
}

static long perform(struct call *call)
{
	unsigned char route[40];
	int type = !strncmp(call->verb, "record", 6) ? RECORD :
		!strncmp(call->verb, "strict", 6) ? STRICT : LOOSE;
	int is_once = strstr(call->verb, "once") != NULL;

	if (call->first.any.sa_family == AF_INET) {
		size_t length = v4_route(call, type, route);

		if (strstr(call->verb, "answer"))
			return answer(call, is_once ? IP_RETOPTS : IP_OPTIONS, route, length);
		return is_once ? once(call, IPPROTO_IP, IP_RETOPTS, route, length) :
			standing(call, IPPROTO_IP, IP_OPTIONS, route, length);
	}
	size_t length = v6_route(call, strstr(call->verb, "segments") ? 4 : 2, route);

	if (strstr(call->verb, "answer"))
		return answer(call, strstr(call->verb, "2292") ? IPV6_2292RTHDR : IPV6_RTHDR, route, length);
	if (strstr(call->verb, "label"))
		return by_flow_label(call, route, length);
	return is_once ? once(call, IPPROTO_IPV6, IPV6_RTHDR, route, length) :
		standing(call, IPPROTO_IPV6, IPV6_RTHDR, route, length);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct call call = call_of(argv[i]);

		ATTEMPT(argv[i], perform(&call));
	}
	return verdict();
}
