/* Sends through the device it was told, by every means that names one: its arguments are the device
 * and the words of dial.h. */

#include "dial.h"
#include <net/if.h>

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif

static const char *device;

static long with_option(struct call *call, int level, int option, const void *value, size_t size)
{
	int fd = open_for(call);

	if (setsockopt(fd, level, option, value, size))
		return -1;
	return send_to(fd, 0, &call->first);
}

/* The device is named beside one datagram (IP_PKTINFO, IPV6_PKTINFO). */
static long beside(struct call *call)
{
	int is_v4 = call->first.any.sa_family == AF_INET;
	struct in_pktinfo v4 = { .ipi_ifindex = if_nametoindex(device) };
	struct in6_pktinfo v6 = { .ipi6_ifindex = if_nametoindex(device) };
	size_t size = is_v4 ? sizeof v4 : sizeof v6;
	char room[CMSG_SPACE(sizeof v6)] = { 0 };
	struct iovec part = { MARKER, sizeof MARKER };
	struct msghdr message = {
		.msg_name = &call->first, .msg_namelen = size_of(&call->first),
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = room, .msg_controllen = CMSG_SPACE(size),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
	header->cmsg_type = is_v4 ? IP_PKTINFO : IPV6_PKTINFO;
	header->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(header), is_v4 ? (void *)&v4 : (void *)&v6, size);
	return sendmsg(open_for(call), &message, 0);
}

static long perform(struct call *call)
{
	int is_v4 = call->first.any.sa_family == AF_INET;
	int index = if_nametoindex(device), wire = htonl(index), mark = 7;

	if (!strcmp(call->verb, "plain"))
		return send_to(open_for(call), 0, &call->first);
	if (!strcmp(call->verb, "beside"))
		return beside(call);
	if (!strcmp(call->verb, "scope")) {
		call->first.v6.sin6_scope_id = index;
		return send_to(open_for(call), 0, &call->first);
	}
	if (!strcmp(call->verb, "bind-name"))
		return with_option(call, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device));
	if (!strcmp(call->verb, "bind-index"))
		return with_option(call, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof index);
	if (!strcmp(call->verb, "unicast"))
		return is_v4 ? with_option(call, IPPROTO_IP, IP_UNICAST_IF, &wire, sizeof wire) :
			with_option(call, IPPROTO_IPV6, IPV6_UNICAST_IF, &wire, sizeof wire);
	if (!strcmp(call->verb, "multicast"))
		return is_v4 ? with_option(call, IPPROTO_IP, IP_MULTICAST_IF,
					   &(struct ip_mreqn){ .imr_ifindex = index },
					   sizeof(struct ip_mreqn)) :
			with_option(call, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
	if (!strcmp(call->verb, "mark"))
		return with_option(call, SOL_SOCKET, SO_MARK, &mark, sizeof mark);
	_exit(255);
}

int main(int argc, char **argv)
{
	device = argv[1];
	for (int i = 2; i < argc; i++) {
		struct call call = call_of(argv[i]);

		ATTEMPT(argv[i], perform(&call));
	}
	return verdict();
}
