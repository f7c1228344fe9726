//! Trying a port out, and who is on it when it is not to be had.
//!
//! Invariant: a port counts as free only when it could be bound just now. Connections that are
//! closing belong to nobody and are in no server's way; everything else is. Changes nothing.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use host_sys::Errno;
use host_sys::diag::{self, Socket, Transport};
use manifest_spec::manifest::Protocol;

use super::key::Key;

/// How often a port that nobody can be seen on is tried: another hostctl, with a ledger of its
/// own, may be trying it out at the same moment.
const TRIES: u32 = 4;
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(2);

/// A process that has a port without a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: i32,
    /// Its program's name (proc_pid_comm(5)).
    pub program: String,
    /// The user it belongs to: a name, or `uid 1900012345`.
    pub user: String,
}

/// What a try told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody uses it.
    Free,
    /// Somebody does: who, as far as this user may know.
    Taken(Option<Owner>),
}

/// Try a key out. Only ports can be in use without a lease.
pub fn probe(key: &Key) -> Verdict {
    let Key::Port { protocol, address, number } = key else { return Verdict::Free };
    let transport = match protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
    };
    for _ in 0..TRIES {
        let Some(verdict) = attempt(transport, *address, *number) else {
            std::thread::sleep(PAUSE);
            continue;
        };
        return verdict;
    }
    Verdict::Taken(None)
}

/// Who waits for clients on a port, on an address that `meant` is true of; `None` if nobody does.
/// The inner `None`: somebody that this user may not see.
pub fn listener(
    protocol: Protocol,
    number: u16,
    meant: impl Fn(IpAddr) -> bool,
) -> Option<Option<Owner>> {
    let transport = match protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
    };
    let sockets = diag::sockets(transport, number).unwrap_or_default();
    let waits = |socket: &&Socket| !socket.connected && socket.inode != 0;
    let found = sockets.iter().filter(waits).find(|socket| meant(socket.address.to_canonical()));
    found.map(owner)
}

/// One try; `None` when it is taken and by nobody that can be seen.
fn attempt(transport: Transport, address: IpAddr, number: u16) -> Option<Verdict> {
    match bind(transport, address, number, false) {
        // An address this host has not got, and so nobody is on.
        Ok(()) | Err(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT) => return Some(Verdict::Free),
        Err(_) => {}
    }
    let overlaps = |socket: &Socket| {
        address.is_unspecified() || socket.address.is_unspecified() || socket.address == address
    };
    let mut sockets = diag::sockets(transport, number).unwrap_or_default();
    sockets.retain(overlaps);
    let owned: Vec<&Socket> = sockets.iter().filter(|socket| socket.inode != 0).collect();
    match owned.iter().find(|socket| !socket.connected).or(owned.first()) {
        Some(socket) => Some(Verdict::Taken(owner(socket))),
        None => match bind(transport, address, number, true) {
            Ok(()) if !sockets.is_empty() => Some(Verdict::Free),
            // A port below 1024 can't be tried without root, but it was looked at.
            Err(Errno::EACCES) => Some(Verdict::Free),
            _ => None,
        },
    }
}

/// A wildcard is tried for both families at once, or for IPv4 on a host without IPv6.
fn bind(transport: Transport, address: IpAddr, number: u16, reuse: bool) -> Result<(), Errno> {
    match diag::try_bind(transport, address, number, reuse) {
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) if address.is_unspecified() => {
            diag::try_bind(transport, Ipv4Addr::UNSPECIFIED.into(), number, reuse)
        }
        result => result,
    }
}

/// The process behind a socket, by the links of proc_pid_fd(5).
fn owner(socket: &Socket) -> Option<Owner> {
    let wanted = format!("socket:[{}]", socket.inode);
    let holds = |pid: &i32| {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        entries.flatten().any(|entry| {
            fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
        })
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pid = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(holds)?;
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned();
    Some(Owner { pid, program, user: user(socket.uid) })
}

fn user(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    crate::uids::user_of(&users, uid).unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn key(address: &str, number: u16) -> Key {
        Key::Port { protocol: Protocol::Tcp, address: address.parse().unwrap(), number }
    }

    #[test]
    fn a_listener_of_ours_is_named_and_one_elsewhere_is_not_in_the_way() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for address in ["127.0.0.1", "::"] {
            let Verdict::Taken(Some(owner)) = probe(&key(address, port)) else {
                panic!("{address}: nobody was seen");
            };
            assert_eq!(owner.pid, host_sys::process::pid());
        }
        assert_eq!(probe(&key("::1", port)), Verdict::Free);
        drop(listener);
        assert_eq!(probe(&key("::", port)), Verdict::Free);
    }

    #[test]
    fn a_connection_that_is_closing_is_in_nobodys_way() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(place).unwrap();
        // The server closes first, so its end stays in TIME_WAIT for a minute.
        drop(listener.accept().unwrap());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop((client, listener));
        assert_eq!(probe(&key("::", place.port())), Verdict::Free);
    }
}
