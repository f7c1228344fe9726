//! Batches for the kernel, and what nft(8) says is there.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests start programs

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};

use loadbalancer::nft::Batch;
use loadbalancer::writer::{Answer, Kernel};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt,
};

/// EEXIST.
pub const EXISTS: i32 = -17;

/// Run `body` in a network namespace of its own.
pub fn alone<T>(body: impl FnOnce() -> T) -> T {
    let home = File::open("/proc/thread-self/ns/net").unwrap();
    unshare(CloneFlags::CLONE_NEWNET).expect("this test makes network namespaces: run it as root");
    let result = body();
    setns(home, CloneFlags::CLONE_NEWNET).unwrap();
    result
}

/// A socket with room for a batch of any size.
pub fn netfilter() -> OwnedFd {
    let protocol = SockProtocol::NetlinkNetFilter;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol);
    let fd = fd.unwrap();
    setsockopt(&fd, sockopt::SndBufForce, &(256 << 20)).unwrap();
    setsockopt(&fd, sockopt::RcvBufForce, &(1 << 20)).unwrap();
    fd
}

/// Send a batch by a socket of its own; the numbers and errors of what was answered.
pub fn send(bytes: &[u8]) -> Vec<(u32, i32)> {
    send_by(&netfilter(), bytes)
}

/// The same by this one.
pub fn send_by(fd: &OwnedFd, bytes: &[u8]) -> Vec<(u32, i32)> {
    sendto(fd.as_raw_fd(), bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty()).unwrap();
    let mut buffer = [0; 8192];
    let mut answers = Vec::new();
    while let Ok(length) = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
        assert!(length >= 20, "an answer of {length} bytes");
        let word = |at: usize| <[u8; 4]>::try_from(&buffer[at..at + 4]).unwrap();
        answers.push((u32::from_ne_bytes(word(8)), i32::from_ne_bytes(word(16))));
    }
    answers
}

/// Do a batch by this socket.
pub fn commit(fd: &OwnedFd, batch: &Batch) {
    let encoded = batch.encode();
    let refused = send_by(fd, &encoded.bytes).into_iter().find(|(_, code)| *code != 0);
    let refused = refused.map(|(sequence, code)| (encoded.object(sequence).to_owned(), code));
    assert_eq!(refused, None);
}

/// What nft(8) prints.
pub fn nft(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("nft(8) is needed: package nftables");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "nft {arguments:?} refused:\n{input}");
    String::from_utf8(output.stdout).unwrap()
}

/// All of the namespace's tables.
pub fn ruleset() -> String {
    nft(&["list", "ruleset"], "")
}

/// The socket of a writer.
#[derive(Debug)]
pub struct Socket(pub OwnedFd);

impl Kernel for Socket {
    fn commit(&mut self, batch: &[u8]) -> Result<(), Answer> {
        match send_by(&self.0, batch).into_iter().find(|(_, code)| *code != 0) {
            None => Ok(()),
            Some((sequence, code)) => Err(Answer { sequence, errno: -code, text: None }),
        }
    }

    fn ask(&mut self, request: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), Answer> {
        /// NLMSG_ERROR, NLMSG_DONE.
        const ENDS: [u16; 2] = [2, 3];
        sendto(self.0.as_raw_fd(), request, &NetlinkAddr::new(0, 0), MsgFlags::empty()).unwrap();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap();
            let mut rest = &buffer[..length];
            while rest.len() >= 16 {
                let word = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().unwrap());
                let (message, size) = (&rest[16..word(0) as usize], word(0) as usize);
                if ENDS.contains(&u16::from_ne_bytes([rest[4], rest[5]])) {
                    let code = word(16) as i32;
                    let answer = Answer { sequence: word(8), errno: -code, text: None };
                    return if code == 0 { Ok(()) } else { Err(answer) };
                }
                each(message);
                rest = &rest[size.next_multiple_of(4).min(rest.len())..];
            }
        }
    }
}
