/* Opens sockets of families and protocols that no rule on ports and destinations would see. */

#include "attempt.h"
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

int main(void)
{
	ATTEMPT("packet", socket(AF_PACKET, SOCK_RAW, 0));
	ATTEMPT("packet, cooked", socket(AF_PACKET, SOCK_DGRAM, 0));
	ATTEMPT("packet, the old way", socket(AF_INET, SOCK_PACKET, 0));
	ATTEMPT("raw v4", socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
	ATTEMPT("raw v6", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
	ATTEMPT("echo request", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	ATTEMPT("mptcp v4", socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
	ATTEMPT("mptcp v6", socket(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP));
	ATTEMPT("mptcp, upper half set",
		syscall(SYS_socket, 0x100000000L | AF_INET, SOCK_STREAM, 0x100000000L | IPPROTO_MPTCP));
	ATTEMPT("sctp", socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
	ATTEMPT("udp-lite", socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));
	ATTEMPT("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	ATTEMPT("algorithms", socket(AF_ALG, SOCK_SEQPACKET, 0));
	ATTEMPT("xdp", socket(AF_XDP, SOCK_RAW, 0));
	ATTEMPT("bluetooth", socket(AF_BLUETOOTH, SOCK_RAW, 0));
	ATTEMPT("can", socket(AF_CAN, SOCK_RAW, 0));
	ATTEMPT("tipc", socket(AF_TIPC, SOCK_STREAM, 0));
	ATTEMPT("smc", socket(AF_SMC, SOCK_STREAM, 0));
	ATTEMPT("netlink audit", socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT));
	ATTEMPT("netlink netfilter", socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
	ATTEMPT("netlink uevents", socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
	ATTEMPT("netlink socket diagnosis", socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG));
	return verdict();
}
