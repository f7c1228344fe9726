//! Network namespaces of a test's own, where every port is free and every packet is the test's.
//!
//! Invariant: only the thread of a test enters one (setns(2) is per thread), and what it starts
//! there; the machine's own network is never changed. A namespace ends with its last process.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, socket,
};

/// A network namespace.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// The one this thread is in.
    pub fn current() -> Namespace {
        Namespace(File::open("/proc/thread-self/ns/net").unwrap())
    }

    /// A fresh one, whose loopback device is up.
    pub fn new() -> Namespace {
        let before = Namespace::current();
        unshare(CloneFlags::CLONE_NEWNET).expect("root is needed for a network namespace");
        let own = Namespace::current();
        ip("link set lo up");
        setns(before.0.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        own
    }

    /// Do something in it, with this thread.
    pub fn enter<T>(&self, act: impl FnOnce() -> T) -> T {
        let before = Namespace::current();
        setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        let result = act();
        setns(before.0.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        result
    }

    /// Make a veth(4) pair: one end here, the other in `there`, each with its addresses, both up,
    /// neither asking for the other's hardware address.
    pub fn wire(&self, here: &str, ours: &[&str], there: &Namespace, other: &str, theirs: &[&str]) {
        self.enter(|| {
            // A path of this process, which ip(8) opens.
            let theirs = format!("/proc/{}/fd/{}", std::process::id(), there.0.as_raw_fd());
            ip(&format!("link add {here} type veth peer name {other} netns {theirs}"));
        });
        self.enter(|| settle(here, ours));
        there.enter(|| settle(other, theirs));
    }
}

fn settle(device: &str, addresses: &[&str]) {
    // Without ARP a device sends to its own hardware address: both ends have the same, so that what
    // is sent leaves at once, to whatever IP address, and arrives.
    ip(&format!("link set {device} address 02:00:00:00:00:01 arp off up"));
    for address in addresses {
        // An IPv6 address is not tried out first, so that all are there at once.
        let nodad = if address.contains(':') { "nodad" } else { "" };
        ip(&format!("addr add {address} dev {device} {nodad}"));
    }
}

/// Run ip(8) with these words in this thread's namespace.
#[track_caller]
pub fn ip(words: &str) {
    let output = Command::new("ip")
        .args(words.split_whitespace())
        .output()
        .expect("ip(8) is needed: install the package iproute2");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words}: {said}");
}

/// Do something in a thread that has a network namespace for itself.
pub fn alone<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| Namespace::new().enter(act));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The index of a device of this thread's namespace.
pub fn index(device: &str) -> u32 {
    if_nametoindex(device).unwrap()
}

/// Every packet that passes a device of a namespace, from when it was opened (packet(7)).
#[derive(Debug)]
pub struct Tap {
    socket: OwnedFd,
    packets: Vec<(usize, Vec<u8>)>,
}

impl Tap {
    /// One in this thread's namespace.
    pub fn open() -> Tap {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let all = SockProtocol::EthAll;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, all).unwrap();
        Tap { socket, packets: Vec::new() }
    }

    /// How many packets have these bytes in them.
    pub fn count(&mut self, part: &[u8]) -> usize {
        self.count_of(part, |_| true)
    }

    /// The same of one device, by its index.
    pub fn count_on(&mut self, device: u32, part: &[u8]) -> usize {
        self.count_of(part, |index| index == device as usize)
    }

    fn count_of(&mut self, part: &[u8], device: impl Fn(usize) -> bool) -> usize {
        let mut packet = [0; 65_536];
        while let Ok((length, from)) = recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut packet) {
            let device = from.map_or(0, |from| from.ifindex());
            self.packets.push((device, packet[..length].to_vec()));
        }
        let holds = |packet: &[u8]| packet.windows(part.len()).any(|bytes| bytes == part);
        let packets = self.packets.iter().filter(|(index, _)| device(*index));
        packets.filter(|(_, packet)| holds(packet)).count()
    }
}
