//! Ports of this network namespace: whether one can be bound, and whose sockets are on it
//! (sock_diag(7)).
//!
//! Invariant: a probing bind is gone when the answer is given, and never listens, so no client ever
//! meets it. Sees every user's sockets, without privilege.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};

use crate::Result;
use crate::netlink::{self, Family, Netlink, array};

/// Transport protocols that have ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// tcp(7).
    Tcp,
    /// udp(7).
    Udp,
}

/// A socket as sock_diag tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Its local address.
    pub address: IpAddr,
    /// Its owner's uid.
    pub uid: u32,
    /// Its inode; 0 when no process has it any more, as in TIME_WAIT.
    pub inode: u32,
    /// Whether it is the near end of a connection (TCP, any state but LISTEN and CLOSE), which a
    /// bind with SO_REUSEADDR may share the port with.
    pub connected: bool,
}

/// Bind a port for a moment. `reuse` is SO_REUSEADDR (socket(7)): with it, connections that are
/// closing are not in the way, as they are in no server's.
///
/// # Errors
/// `EADDRINUSE` when somebody has it; `EACCES` below `ip_unprivileged_port_start` without
/// CAP_NET_BIND_SERVICE; `EAFNOSUPPORT` or `EADDRNOTAVAIL` where the host has no such address.
pub fn try_bind(transport: Transport, address: IpAddr, port: u16, reuse: bool) -> Result<()> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = match transport {
        Transport::Tcp => SockType::Stream,
        Transport::Udp => SockType::Datagram,
    };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &reuse)?;
    // An address that the host will have only later can be in the way of a wildcard already.
    // (Set at the level of IPv4 it holds for IPv6 as well.)
    setsockopt(&socket, sockopt::IpFreebind, &true)?;
    if address.is_ipv6() {
        // [::] then stands for IPv4 too, whatever net.ipv6.bindv6only says (ipv6(7)).
        setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, port)))
}

/// NETLINK_SOCK_DIAG's request and answer (linux/sock_diag.h).
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// NLM_F_REQUEST | NLM_F_DUMP.
const REQUEST_DUMP: u16 = 0x301;
/// Sizes of nlmsghdr, inet_diag_req_v2 and inet_diag_msg (linux/inet_diag.h).
const HEADER: usize = 16;
const REQUEST: usize = 56;
const MESSAGE: usize = 72;
/// TCP states of the kernel's enum that are no connection: TCP_CLOSE, TCP_LISTEN.
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;

/// States of a connection that its server has not let go: TCP_ESTABLISHED, TCP_SYN_RECV and
/// TCP_CLOSE_WAIT, a bit each.
const SERVED: u32 = 1 << 1 | 1 << 3 | 1 << 8;

/// How many connections of TCP clients have with the server at an address and port of this network
/// namespace, those among them that it has not accepted yet.
///
/// # Errors
/// As [`sockets`].
pub fn clients(server: SocketAddr) -> Result<usize> {
    let mut count = 0;
    for family in [libc::AF_INET, libc::AF_INET6] {
        let found = dump(family as u8, Transport::Tcp, server.port(), SERVED)?;
        // A socket for both protocols has an IPv4 address mapped into IPv6.
        count += found.iter().filter(|one| one.address.to_canonical() == server.ip()).count();
    }
    Ok(count)
}

/// Every socket that is bound to a port, of all users.
///
/// # Errors
/// `ENOENT` where the kernel was built without the diagnosis of this protocol; else what netlink(7)
/// says.
pub fn sockets(transport: Transport, port: u16) -> Result<Vec<Socket>> {
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        found.extend(dump(family as u8, transport, port, u32::MAX)?);
    }
    Ok(found)
}

fn dump(family: u8, transport: Transport, port: u16, states: u32) -> Result<Vec<Socket>> {
    let netlink = Netlink::open(Family::SocketDiagnosis)?;
    let mut found = Vec::new();
    let each = |answer: &netlink::Message<'_>| {
        if answer.kind == SOCK_DIAG_BY_FAMILY {
            found.extend(message(answer.body, transport));
        }
    };
    let request = request(family, transport, port, states);
    netlink.ask(&request, each).map_err(|refusal| refusal.errno)?;
    // Kernels before 5.0 ignored the port of a request.
    found.retain(|(number, _)| *number == port);
    Ok(found.into_iter().map(|(_, socket)| socket).collect())
}

fn request(family: u8, transport: Transport, port: u16, states: u32) -> Vec<u8> {
    let protocol = match transport {
        Transport::Tcp => libc::IPPROTO_TCP,
        Transport::Udp => libc::IPPROTO_UDP,
    };
    let mut bytes = Vec::with_capacity(HEADER + REQUEST);
    bytes.extend(((HEADER + REQUEST) as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST_DUMP.to_ne_bytes());
    bytes.extend([0; 8]); // sequence, sender
    bytes.extend([family, protocol as u8, 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.resize(HEADER + REQUEST, 0);
    bytes
}

fn message(body: &[u8], transport: Transport) -> Option<(u16, Socket)> {
    let body = body.get(..MESSAGE)?;
    let address = match i32::from(body[0]) {
        libc::AF_INET => IpAddr::from(array::<4>(body, 8)?),
        _ => IpAddr::from(array::<16>(body, 8)?),
    };
    let socket = Socket {
        address,
        uid: u32::from_ne_bytes(array(body, 64)?),
        inode: u32::from_ne_bytes(array(body, 68)?),
        connected: transport == Transport::Tcp && !matches!(body[1], CLOSE | LISTEN),
    };
    Some((u16::from_be_bytes(array(body, 4)?), socket))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::Errno;

    fn inode(fd: &impl AsRawFd) -> u32 {
        std::fs::metadata(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap().ino() as u32
    }

    #[test]
    fn clients_count_until_their_server_lets_go() {
        for any in ["127.0.0.1:0", "[::]:0"] {
            let listener = TcpListener::bind(any).unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = SocketAddr::from(([127, 0, 0, 1], port));
            assert_eq!(clients(server).unwrap(), 0, "a listener is none");
            let one = std::net::TcpStream::connect(server).unwrap();
            assert_eq!(clients(server).unwrap(), 1, "before it is accepted");
            let (accepted, _) = listener.accept().unwrap();
            drop(one);
            assert_eq!(clients(server).unwrap(), 1, "its server has not let go");
            drop(accepted);
            assert_eq!(clients(server).unwrap(), 0);
        }
    }

    #[test]
    fn a_listener_is_in_the_way_and_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for address in ["127.0.0.1", "0.0.0.0", "::"] {
            let tried = try_bind(Transport::Tcp, address.parse().unwrap(), port, false);
            assert_eq!(tried, Err(Errno::EADDRINUSE), "{address}");
        }
        let found = sockets(Transport::Tcp, port).unwrap();
        let own = found.iter().find(|socket| socket.inode == inode(&listener)).unwrap();
        assert!(!own.connected && own.address.is_loopback(), "{own:?}");
        drop(listener);
        assert_eq!(try_bind(Transport::Tcp, "::".parse().unwrap(), port, false), Ok(()));
    }

    #[test]
    fn datagram_sockets_are_found_too() {
        let server = UdpSocket::bind("[::1]:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let found = sockets(Transport::Udp, port).unwrap();
        assert!(found.iter().any(|socket| socket.inode == inode(&server)), "{found:?}");
        let tried = try_bind(Transport::Udp, "::".parse().unwrap(), port, false);
        assert_eq!(tried, Err(Errno::EADDRINUSE));
    }
}
