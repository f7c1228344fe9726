use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::flow::dump_request;
use super::{Flow, TrackError, Tracker};
use crate::netlink::Attributes;
use crate::nft::Transport;
use crate::writer::{Answer, Kernel};

/// One as the kernel tells it: 192.0.2.1:50000 has asked 198.51.100.1:8080 by TCP and was sent to
/// 10.99.0.1:80; zone 7.
const ENTRY: &str = "
    02000000
    34000180 14000180 08000100c0000201 08000200c6336401
             1c000280 0500010006000000 06000200c3500000 060003001f900000
    34000280 14000180 080001000a630001 08000200c0000201
             1c000280 0500010006000000 0600020000500000 06000300c3500000
    08000c0001020304 08000300000001ae
    10000480 0c000180 0500010003000000
    0600120000070000";

fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let pair = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn place(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// An entry as the kernel encodes it.
fn entry(
    transport: Transport,
    [client, asked, target, back]: [&str; 4],
    state: Option<u8>,
) -> Vec<u8> {
    let mut row = Attributes::default();
    for (kind, source, destination) in [(1, client, asked), (2, target, back)] {
        let (source, destination) = (place(source), place(destination));
        row.nest(kind, |tuple| {
            tuple.nest(1, |addresses| match (source.ip(), destination.ip()) {
                (IpAddr::V4(source), IpAddr::V4(destination)) => {
                    addresses.bytes(1, &source.octets());
                    addresses.bytes(2, &destination.octets());
                }
                (IpAddr::V6(source), IpAddr::V6(destination)) => {
                    addresses.bytes(3, &source.octets());
                    addresses.bytes(4, &destination.octets());
                }
                _ => panic!("two families"),
            });
            tuple.nest(2, |protocol| {
                protocol.bytes(1, &[transport.number()]);
                protocol.bytes(2, &source.port().to_be_bytes());
                protocol.bytes(3, &destination.port().to_be_bytes());
            });
        });
    }
    if let Some(state) = state {
        row.nest(4, |info| info.nest(1, |tcp| tcp.bytes(1, &[state])));
    }
    let family = if place(client).is_ipv4() { 2 } else { 10 };
    [&[family, 0, 0, 0], row.as_bytes()].concat()
}

const DIRECTED: [&str; 4] = ["192.0.2.1:1", "198.51.100.1:80", "10.99.0.1:80", "192.0.2.1:1"];
const PLAIN: [&str; 4] = ["192.0.2.1:2", "198.51.100.1:80", "198.51.100.1:80", "192.0.2.1:2"];
const SIXTH: [&str; 4] = ["[fd77::2]:1", "[fd77::1]:80", "[fd99::1]:80", "[fd77::2]:1"];

#[test]
fn an_entry_of_the_kernel_is_understood() {
    let body = bytes(ENTRY);
    let flow = Flow::read(&body).unwrap();
    assert_eq!(flow.transport, Transport::Tcp);
    assert_eq!((flow.client, flow.asked), (place("192.0.2.1:50000"), place("198.51.100.1:8080")));
    assert_eq!((flow.target, flow.back), (place("10.99.0.1:80"), place("192.0.2.1:50000")));
    assert!(flow.alive && flow.redirected() && !flow.is_plain());
}

#[test]
fn requests_are_what_the_kernel_reads() {
    let all = bytes("14000000 0101 0103 01000000 00000000 00000000");
    assert_eq!(dump_request(false), all);
    let some = bytes("1c000000 0101 0103 01000000 00000000 00000000 0800030000000020");
    assert_eq!(dump_request(true), some);
    let body = bytes(ENTRY);
    let mut deletion = Vec::new();
    Flow::read(&body).unwrap().append_deletion(&mut deletion);
    let expected = bytes(
        "58000000 0201 0100 01000000 00000000 02000000
         34000180 14000180 08000100c0000201 08000200c6336401
                  1c000280 0500010006000000 06000200c3500000 060003001f900000
         08000c0001020304 0600120000070000",
    );
    assert_eq!(deletion, expected);
}

#[test]
fn a_connection_lives_until_both_sides_have_said_their_last() {
    // TCP_CONNTRACK_NONE to TCP_CONNTRACK_LISTEN.
    let lives = [false, true, true, true, true, true, false, false, false, true];
    for (state, lives) in (0..).zip(lives) {
        let body = entry(Transport::Tcp, DIRECTED, Some(state));
        assert_eq!(Flow::read(&body).unwrap().alive, lives, "state {state}");
    }
    assert!(Flow::read(&entry(Transport::Udp, DIRECTED, None)).unwrap().alive);
}

/// A kernel with these entries.
#[derive(Default)]
struct Fake {
    entries: RefCell<Vec<Vec<u8>>>,
    /// A refusal of dumps, and one of deletions.
    refuses: [i32; 2],
    /// Whether it does what it is asked to.
    deaf: bool,
}

impl Kernel for &Fake {
    fn commit(&mut self, batch: &[u8]) -> Result<(), Answer> {
        if !self.deaf {
            self.entries.borrow_mut().retain(|entry| {
                let mut request = Vec::new();
                Flow::read(entry).unwrap().append_deletion(&mut request);
                !batch.windows(request.len()).any(|part| part == request)
            });
        }
        answer(self.refuses[1])
    }

    fn ask(&mut self, _: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), Answer> {
        self.entries.borrow().iter().for_each(|entry| each(entry));
        answer(self.refuses[0])
    }
}

fn answer(errno: i32) -> Result<(), Answer> {
    if errno == 0 { Ok(()) } else { Err(Answer { sequence: 1, errno, text: None }) }
}

fn fake() -> Fake {
    let entries = vec![
        entry(Transport::Tcp, DIRECTED, Some(3)),
        entry(Transport::Tcp, DIRECTED, Some(7)),
        entry(Transport::Udp, DIRECTED, None),
        entry(Transport::Tcp, PLAIN, Some(3)),
        entry(Transport::Udp, PLAIN, None),
        entry(Transport::Udp, SIXTH, None),
    ];
    Fake { entries: entries.into(), ..Fake::default() }
}

#[test]
fn counts_are_of_what_lives_and_was_redirected() {
    let counts = Tracker::new(&fake()).count().unwrap();
    let expected = [
        ((Transport::Tcp, place("10.99.0.1:80")), 1),
        ((Transport::Udp, place("10.99.0.1:80")), 1),
        ((Transport::Udp, place("[fd99::1]:80")), 1),
    ];
    assert_eq!(counts, expected.into());
}

#[test]
fn only_what_is_named_is_ended() {
    let fake = fake();
    let mut tracker = Tracker::new(&fake);
    let target = place("10.99.0.1:80");
    assert_eq!(tracker.end_of(&[(Transport::Tcp, target)]).unwrap(), 2);
    assert_eq!(tracker.count().unwrap().get(&(Transport::Udp, target)), Some(&1));
    // Who asked there while nobody served.
    let nobody = tracker.forget_udp(&[], |asked| asked == place("198.51.100.1:81")).unwrap();
    let missed = tracker.forget_udp(&[], |asked| asked == place("198.51.100.1:80")).unwrap();
    assert_eq!((nobody, missed), (0, 1));
    assert_eq!(tracker.forget_udp(&[target], |_| false).unwrap(), 1);
    // Left are the plain connection of TCP, and IPv6.
    assert_eq!(fake.entries.borrow().len(), 2);
}

#[test]
fn an_end_is_an_end_whatever_the_kernel_does() {
    const EPERM: i32 = 1;
    let ends = |fake: Fake| Tracker::new(&fake).end(|_| true);
    // Over by itself, and a kernel that forgets nothing.
    assert_eq!(ends(Fake { refuses: [0, 2], ..fake() }), Ok(6));
    assert_eq!(ends(Fake { deaf: true, ..fake() }), Ok(18));
    let refused = |errno| Answer { sequence: 1, errno, text: None };
    assert_eq!(ends(Fake { refuses: [22, 0], ..fake() }), Err(TrackError::Absent));
    assert_eq!(ends(Fake { refuses: [EPERM, 0], ..fake() }), Err(TrackError::Unread(refused(1))));
    assert_eq!(ends(Fake { refuses: [0, EPERM], ..fake() }), Err(TrackError::Kept(refused(1))));
}

#[test]
fn many_are_ended_in_several_messages() {
    let one = |port: u16| {
        let client = format!("192.0.2.1:{port}");
        entry(Transport::Udp, [&client, DIRECTED[1], DIRECTED[2], &client], None)
    };
    let fake = Fake { entries: (1..1000).map(one).collect::<Vec<_>>().into(), ..Fake::default() };
    assert_eq!(Tracker::new(&fake).end(|_| true), Ok(999));
    assert!(fake.entries.borrow().is_empty());
}

proptest! {
    #[test]
    fn nothing_that_is_no_entry_is_taken_for_one(
        cut in 0..172_usize,
        at in 4..172_usize,
        byte: u8,
        noise: Vec<u8>,
    ) {
        let whole = bytes(ENTRY);
        prop_assert!(Flow::read(&whole[..cut.min(103)]).is_none());
        let mut changed = whole.clone();
        changed[at % whole.len()] = byte;
        for body in [&changed[..], &whole[..cut.min(whole.len())], &noise] {
            if let Some(flow) = Flow::read(body) {
                flow.append_deletion(&mut Vec::new());
            }
        }
    }
}
