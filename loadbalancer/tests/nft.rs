//! A table's text, its messages, and what the kernel makes of either.
//!
//! The kernel's part runs as root in network namespaces of its own, and asks nft(8) what was
//! loaded.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests start programs

use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use loadbalancer::nft::{
    Base, Batch, Chain, Device, Family, Hook, Kind, Network, Policy, Relation, Rule, Side, Sight,
    State, Statement, Table, Transport,
};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::os::fd::AsRawFd;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nft");

fn base(kind: Kind, hook: Hook, priority: i32, policy: Policy) -> Option<Base> {
    Some(Base { kind, hook, priority, policy })
}

fn chain(name: &str, base: Option<Base>, rules: Vec<Vec<Statement>>) -> Chain {
    Chain { name: name.to_owned(), base, rules: rules.into_iter().map(Rule).collect() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network(text: &str, prefix: u8) -> Network {
    Network { address: ip(text), prefix }
}

/// One of everything.
fn table() -> Table {
    let named = |name: &str| Device::Named(name.to_owned());
    let (from, to) = (Side::Source, Side::Destination);
    let (is, not) = (Relation::Is, Relation::Not);
    let families = vec![
        vec![Statement::Family(Family::Ipv4), Statement::Accept],
        vec![Statement::Family(Family::Ipv6), Statement::Return],
        vec![Statement::Device(from, not, named("lo")), Statement::Counter, Statement::Drop],
        vec![Statement::Device(to, is, Device::Beginning("veth".to_owned())), Statement::Accept],
    ];
    let addresses = vec![
        vec![Statement::Address(from, not, ip("10.0.0.7").into()), Statement::Drop],
        vec![Statement::Address(to, is, network("127.0.0.0", 8)), Statement::Drop],
        vec![Statement::Address(to, is, network("100.64.0.0", 10)), Statement::Drop],
        vec![Statement::Address(from, is, ip("fd00::7").into()), Statement::Accept],
        vec![Statement::Address(to, not, network("fd00::", 47)), Statement::Drop],
    ];
    let forward = vec![
        vec![Statement::State(vec![State::Established, State::Related]), Statement::Accept],
        vec![Statement::State(vec![State::Invalid]), Statement::Drop],
        vec![Statement::State(vec![State::New]), Statement::Jump("families".to_owned())],
        vec![Statement::Redirected, Statement::Accept],
    ];
    let destination = vec![
        vec![
            Statement::Family(Family::Ipv4),
            Statement::Local(to),
            Statement::Port(Transport::Tcp, to, 8083),
            Statement::Dnat("10.0.0.7:8080".parse().unwrap()),
        ],
        vec![
            Statement::Family(Family::Ipv6),
            Statement::Port(Transport::Udp, from, 53),
            Statement::Dnat("[fd00::7]:53".parse().unwrap()),
        ],
    ];
    let source = vec![
        vec![
            Statement::Address(from, is, network("127.0.0.0", 8)),
            Statement::Snat(ip("10.0.0.1")),
        ],
        vec![Statement::Device(to, is, named("eth0")), Statement::Masquerade],
    ];
    Table {
        sight: Sight::Inet,
        name: "hostctl-demo".to_owned(),
        owned: false,
        chains: vec![
            chain("families", None, families),
            chain("addresses", base(Kind::Filter, Hook::Input, -300, Policy::Accept), addresses),
            chain("forward", base(Kind::Filter, Hook::Forward, 0, Policy::Drop), forward),
            chain("local", base(Kind::Nat, Hook::Output, -100, Policy::Accept), vec![]),
            chain("in", base(Kind::Nat, Hook::Prerouting, -100, Policy::Accept), destination),
            chain("out", base(Kind::Nat, Hook::Postrouting, 100, Policy::Accept), source),
        ],
    }
}

fn golden(name: &str, found: &str) {
    let path = Path::new(GOLDEN).join(name);
    if std::env::vars().any(|(key, _)| key == "UPDATE_GOLDENS") {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} differs:\n{found}", path.display());
}

/// Sixteen bytes a line.
fn hexadecimal(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
    bytes.chunks(16).map(|bytes| line(bytes).join(" ") + "\n").collect()
}

#[test]
fn the_text_of_a_table() {
    golden("everything.nft", &table().to_string());
    golden("owned.nft", &Table { owned: true, chains: vec![], ..table() }.to_string());
}

#[test]
#[cfg(target_endian = "little")]
fn the_bytes_of_a_batch() {
    let mut small = Table { owned: true, ..table() };
    small.chains.truncate(2);
    small.chains[0].rules.truncate(1);
    small.chains[1].rules.truncate(1);
    golden("owned.hex", &hexadecimal(&Batch::default().create(&small).encode().bytes));
    golden("delete.hex", &hexadecimal(&Batch::default().delete("hostctl-demo").encode().bytes));
}

#[test]
fn a_refusal_has_an_object() {
    let encoded = Batch::default().create(&table()).encode();
    assert_eq!(encoded.object(0), "the batch");
    assert_eq!(encoded.object(1), "table hostctl-demo");
    assert_eq!(encoded.object(2), "chain families of table hostctl-demo");
    let rule = "rule `meta nfproto ipv4 accept` of chain families of table hostctl-demo";
    assert_eq!(encoded.object(8), rule);
    assert_eq!(encoded.object(9999), "the batch");
}

#[test]
fn names_the_kernel_gives_no_device() {
    for name in ["", ".", "..", "a b", "a/b", "a:b", "a\0", "\"", "sixteen-letters-"] {
        assert!(!Device::valid(name), "{name:?}");
    }
    for name in ["lo", "eth0.12", "br-1234", "fifteen-letters"] {
        assert!(Device::valid(name), "{name:?}");
    }
}

/// Run `body` in a network namespace of its own.
fn alone<T>(body: impl FnOnce() -> T) -> T {
    let home = File::open("/proc/thread-self/ns/net").unwrap();
    unshare(CloneFlags::CLONE_NEWNET).expect("this test makes network namespaces: run it as root");
    let result = body();
    setns(home, CloneFlags::CLONE_NEWNET).unwrap();
    result
}

/// Send a batch; the numbers and errors of what was answered.
fn send(bytes: &[u8]) -> Vec<(u32, i32)> {
    let protocol = SockProtocol::NetlinkNetFilter;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol);
    let fd = fd.unwrap();
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

fn nft(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("nft(8) is needed: package nftables");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "nft {arguments:?} refused:\n{input}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn text_and_messages_make_the_same_table() {
    let list = || nft(&["list", "ruleset"], "");
    let from_messages = alone(|| {
        let encoded = Batch::default().create(&table()).encode();
        let last = encoded.bytes.len();
        let answers = send(&encoded.bytes);
        let refused = answers.iter().find(|(_, code)| *code != 0);
        assert_eq!(refused.map(|(sequence, code)| (encoded.object(*sequence), code)), None);
        assert_eq!(answers.len(), 1, "one acknowledgement for {last} bytes");
        list()
    });
    let from_text = alone(|| {
        nft(&["-f", "-"], &table().to_string());
        list()
    });
    assert!(from_messages.contains("dnat ip to 10.0.0.7:8080"), "{from_messages}");
    assert_eq!(from_messages, from_text);
}

/// A table that sees what the loopback device receives.
fn door() -> Table {
    let hook = Hook::Ingress("lo".to_owned());
    let rules = vec![vec![Statement::ForHost]];
    let chains = vec![chain("door", base(Kind::Filter, hook, 0, Policy::Accept), rules)];
    Table { sight: Sight::Netdev, name: "door".to_owned(), owned: false, chains }
}

#[test]
fn tables_of_a_device_are_the_same_too() {
    let from_messages = alone(|| {
        let answers = send(&Batch::default().create(&table()).create(&door()).encode().bytes);
        assert!(answers.iter().all(|(_, code)| *code == 0), "{answers:?}");
        nft(&["list", "table", "netdev", "door"], "")
    });
    let from_text = alone(|| {
        nft(&["-f", "-"], &door().to_string());
        nft(&["list", "table", "netdev", "door"], "")
    });
    assert!(from_messages.contains("meta pkttype set host"), "{from_messages}");
    assert_eq!(from_messages, from_text);
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    alone(|| {
        let mut wrong = table();
        let jump = Statement::Jump("nowhere".to_owned());
        wrong.chains[2].rules.push(Rule(vec![jump]));
        let encoded = Batch::default().create(&wrong).encode();
        let answers = send(&encoded.bytes);
        let refused: Vec<_> = answers.iter().filter(|(_, code)| *code != 0).collect();
        let rule = "rule `jump nowhere` of chain forward of table hostctl-demo";
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(encoded.object(refused[0].0), rule);
        assert_eq!(nft(&["list", "ruleset"], ""), "");
    });
}

#[test]
fn a_table_is_not_made_twice() {
    /// EEXIST.
    const EXISTS: i32 = -17;
    alone(|| {
        let create = Batch::default().create(&table()).encode().bytes;
        send(&create);
        let before = nft(&["list", "ruleset"], "");
        assert!(send(&create).contains(&(1, EXISTS)));
        assert_eq!(nft(&["list", "ruleset"], ""), before);
        let replace = Batch::default().delete("hostctl-demo").create(&table()).encode().bytes;
        assert!(send(&replace).iter().all(|(_, code)| *code == 0));
        assert_eq!(nft(&["list", "ruleset"], ""), before);
    });
}

#[test]
fn deleting_what_is_not_there_is_no_error() {
    alone(|| {
        let delete = Batch::default().delete("hostctl-demo").encode().bytes;
        assert_eq!(send(&delete), [(2, 0)]);
        send(&Batch::default().create(&table()).encode().bytes);
        assert_ne!(nft(&["list", "ruleset"], ""), "");
        assert_eq!(send(&delete), [(2, 0)]);
        assert_eq!(nft(&["list", "ruleset"], ""), "");
    });
}
