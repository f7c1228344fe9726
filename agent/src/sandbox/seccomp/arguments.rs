//! The calls whose answer depends on their arguments.
//!
//! Owns one rule per such call. Invariant: a family, protocol, personality or node type that is not
//! listed is denied; mode bits, namespace flags and `ioctl` requests are listed where denied, since
//! every program and driver brings harmless ones of its own. Never looks behind a pointer.

use super::policy::Granted;
use super::rule::{ALLOW, Action, EPERM, Rule};

const EPROTONOSUPPORT: Rule = Rule::Answer(Action::Errno(93));
const ESOCKTNOSUPPORT: Rule = Rule::Answer(Action::Errno(94));
const EAFNOSUPPORT: Rule = Rule::Answer(Action::Errno(97));

const ANY_BIT: u32 = u32::MAX;

/// `S_ISUID | S_ISGID`.
const SET_ID: u32 = 0o6000;
const S_IFMT: u32 = 0o170_000;
/// A regular file (0 means one too), a fifo, a Unix socket.
const PLAIN_NODES: &[u32] = &[0, 0o100_000, 0o010_000, 0o140_000];
/// `O_CREAT` and the kernel's own bit of `O_TMPFILE`: only with one of them is a mode read.
const CREATING: u32 = 0o100 | 0o20_000_000;

const CLONE_NEWTIME: u32 = 0x0000_0080;
const CLONE_NEWNS: u32 = 0x0002_0000;
const CLONE_NEWCGROUP: u32 = 0x0200_0000;
const CLONE_NEWUTS: u32 = 0x0400_0000;
const CLONE_NEWIPC: u32 = 0x0800_0000;
const CLONE_NEWUSER: u32 = 0x1000_0000;
const CLONE_NEWPID: u32 = 0x2000_0000;
const CLONE_NEWNET: u32 = 0x4000_0000;
const NAMESPACES: u32 = CLONE_NEWTIME
    | CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET;

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;
const AF_PACKET: u32 = 17;
/// `SOCK_TYPE_MASK`: the rest of the type argument is `SOCK_CLOEXEC` and `SOCK_NONBLOCK`.
const SOCK_TYPE: u32 = 0xf;
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
const SOCK_PACKET: u32 = 10;
/// "The usual one" for the family and type.
const IPPROTO_IP: u32 = 0;
const IPPROTO_ICMP: u32 = 1;
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;
const IPPROTO_ICMPV6: u32 = 58;
const NETLINK_ROUTE: u32 = 0;

/// `TIOCSTI` types into the terminal, `TIOCLINUX` pastes into it, `TIOCSETD` loads drivers for it.
const TERMINAL_REQUESTS: &[u32] = &[0x5412, 0x541c, 0x5423];

/// socket(2) and socketpair(2).
///
/// Protocols are listed, not only families, because the hooks that guard ports and destinations see
/// TCP and UDP: MPTCP, SCTP and SMC reach the network through the same families, past the hooks.
pub(super) fn socket(held: Granted<'_>) -> Rule {
    let raw = if held.any(&["CAP_NET_RAW"]) { ALLOW } else { EPERM };
    let packet = if held.any(&["CAP_NET_RAW"]) { ALLOW } else { EAFNOSUPPORT };
    // An echo request goes where no port or destination rule looks, so it counts as raw.
    let datagrams: &[u32] = if held.any(&["CAP_NET_RAW"]) {
        &[IPPROTO_IP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6]
    } else {
        &[IPPROTO_IP, IPPROTO_UDP]
    };
    let netlink = if held.any(&["CAP_NET_ADMIN"]) {
        ALLOW
    } else {
        Rule::one_of(2, ANY_BIT, &[NETLINK_ROUTE], ALLOW, EAFNOSUPPORT)
    };
    let datagram = match held.datagrams {
        true => Rule::one_of(2, ANY_BIT, datagrams, ALLOW, EPROTONOSUPPORT),
        false => EPROTONOSUPPORT,
    };
    let protocol = |allowed: &[u32]| Rule::one_of(2, ANY_BIT, allowed, ALLOW, EPROTONOSUPPORT);
    let internet = Rule::Switch {
        argument: 1,
        mask: SOCK_TYPE,
        arms: vec![
            (SOCK_STREAM, protocol(&[IPPROTO_IP, IPPROTO_TCP])),
            (SOCK_DGRAM, datagram),
            (SOCK_RAW, raw.clone()),
            (SOCK_PACKET, raw),
        ],
        otherwise: Box::new(ESOCKTNOSUPPORT),
    };
    Rule::Switch {
        argument: 0,
        mask: ANY_BIT,
        arms: vec![
            (AF_UNIX, ALLOW),
            (AF_INET, internet.clone()),
            (AF_INET6, internet),
            (AF_NETLINK, netlink),
            (AF_PACKET, packet),
        ],
        otherwise: Box::new(EAFNOSUPPORT),
    }
}

/// setsockopt(2), level and option. Refused: sending from an address that is not the host's, which
/// only makes clients up; and, where nothing by UDP is granted to all the world, joining groups,
/// which the kernel announces in packets that no rule on interfaces sees.
pub(super) fn setsockopt(held: Granted<'_>) -> Rule {
    const SOL_IP: u32 = 0;
    const SOL_IPV6: u32 = 41;
    // IP_FREEBIND, IP_TRANSPARENT; then IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP,
    // MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP.
    const V4: [u32; 6] = [15, 19, 35, 39, 42, 46];
    // IPV6_TRANSPARENT, IPV6_FREEBIND; then IPV6_JOIN_GROUP, IPV6_JOIN_ANYCAST, and the same two.
    const V6: [u32; 6] = [75, 78, 20, 27, 42, 46];
    if held.any(&["CAP_NET_ADMIN"]) {
        return ALLOW;
    }
    let count = if held.groups { 2 } else { V4.len() };
    let without = |options: &[u32]| Rule::one_of(2, ANY_BIT, &options[..count], EPERM, ALLOW);
    Rule::Switch {
        argument: 1,
        mask: ANY_BIT,
        arms: vec![(SOL_IP, without(&V4)), (SOL_IPV6, without(&V6))],
        otherwise: Box::new(ALLOW),
    }
}

/// sendto(2), sendmsg(2), sendmmsg(2) with their flags in this argument. MSG_FASTOPEN connects
/// (RFC 7413), and Landlock is not asked then; programs take EOPNOTSUPP for "connect first".
pub(super) fn send(flags: u8, held: Granted<'_>) -> Rule {
    const MSG_FASTOPEN: u32 = 0x2000_0000;
    const EOPNOTSUPP: Rule = Rule::Answer(Action::Errno(95));
    if held.fast_open { ALLOW } else { Rule::clear(flags, MSG_FASTOPEN, ALLOW, EOPNOTSUPP) }
}

/// ioctl(2).
pub(super) fn ioctl(_: Granted<'_>) -> Rule {
    Rule::one_of(1, ANY_BIT, TERMINAL_REQUESTS, EPERM, ALLOW)
}

/// clone(2): flags come first on both architectures.
pub(super) fn clone(held: Granted<'_>) -> Rule {
    // The low byte of clone's flags is the exit signal; the bit of CLONE_NEWTIME lies within it.
    Rule::clear(0, forbidden_namespaces(held) & !CLONE_NEWTIME, ALLOW, EPERM)
}

/// unshare(2).
pub(super) fn unshare(held: Granted<'_>) -> Rule {
    Rule::clear(0, forbidden_namespaces(held), ALLOW, EPERM)
}

/// setns(2). Type 0 means any, which is harmless: no user namespace but its own is in sight.
pub(super) fn setns(held: Granted<'_>) -> Rule {
    if held.any(&["CAP_SYS_ADMIN"]) { Rule::clear(1, CLONE_NEWUSER, ALLOW, EPERM) } else { EPERM }
}

/// A user namespace gives every capability inside it and with them most of the kernel's attack
/// surface, so no capability lifts that one.
fn forbidden_namespaces(held: Granted<'_>) -> u32 {
    if held.any(&["CAP_SYS_ADMIN"]) { CLONE_NEWUSER } else { NAMESPACES }
}

/// personality(2): `PER_LINUX` (0) or a question (all ones); the others switch off protections.
pub(super) fn personality(_: Granted<'_>) -> Rule {
    Rule::one_of(0, ANY_BIT, &[0, u32::MAX], ALLOW, EPERM)
}

/// A call that sets the mode in this argument, without set-user-ID and set-group-ID bits: a file
/// with one would outlive the sandbox and run as the app's user, which a later app may be given.
pub(super) fn mode(argument: u8, held: Granted<'_>) -> Rule {
    without_set_id(argument, held, ALLOW)
}

/// open(2) and openat(2).
pub(super) fn open(flags: u8, held: Granted<'_>) -> Rule {
    Rule::clear(flags, CREATING, ALLOW, without_set_id(flags + 1, held, ALLOW))
}

/// mknod(2) and mknodat(2).
pub(super) fn mknod(argument: u8, held: Granted<'_>) -> Rule {
    let node = if held.any(&["CAP_MKNOD"]) {
        ALLOW
    } else {
        Rule::one_of(argument, S_IFMT, PLAIN_NODES, ALLOW, EPERM)
    };
    without_set_id(argument, held, node)
}

fn without_set_id(argument: u8, held: Granted<'_>, then: Rule) -> Rule {
    if held.any(&["CAP_FSETID"]) { then } else { Rule::clear(argument, SET_ID, then, EPERM) }
}
