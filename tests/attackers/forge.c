/* Makes itself a client of its own UDP server under another host's address, then sends there: its
 * arguments are the leased port and the words of dial.h it sends to, one after another. */

#include "dial.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

/* A socket at an address, this host's or not. */
static int at(union address place)
{
	int on = 1, fd = socket(place.any.sa_family, SOCK_DGRAM, 0);
	int is_v4 = place.any.sa_family == AF_INET;

	if (setsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_FREEBIND : IPV6_FREEBIND, &on,
		       sizeof on))
		return -1;
	return bind(fd, &place.any, size_of(&place)) ? -1 : fd;
}

static long forge(struct call *call, const char *leased)
{
	int is_v4 = call->first.any.sa_family == AF_INET;
	union address own = address_of(is_v4 ? "127.0.0.1" : "::1", leased);
	int server = at(own), other = at(call->first);

	if (server == -1 || other == -1)
		return -1;
	/* Whether it gets there shows in the next call. */
	send_to(other, 0, &own);
	return send_to(server, 0, &call->first);
}

int main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		struct call call = call_of(argv[i]);

		ATTEMPT(argv[i], forge(&call, argv[1]));
	}
	return verdict();
}
