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
    Base, Batch, Chain, Content, Datum, Device, Element, Family, Field, Hook, Kind, Network, Owner,
    Policy, Rejection, Relation, Rule, Set, Side, Sight, State, Statement, Table, Transport, Value,
};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::os::fd::{AsRawFd, OwnedFd};

/// EEXIST.
const EXISTS: i32 = -17;
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
        comment: None,
        owner: Owner::Nobody,
        sets: vec![],
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
    golden("owned.nft", &Table { owner: Owner::Socket, chains: vec![], ..table() }.to_string());
}

#[test]
#[cfg(target_endian = "little")]
fn the_bytes_of_a_batch() {
    let mut small = Table { owner: Owner::Socket, ..table() };
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

fn socket_of_netfilter() -> OwnedFd {
    let protocol = SockProtocol::NetlinkNetFilter;
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap()
}

/// Send a batch by a socket of its own; the numbers and errors of what was answered.
fn send(bytes: &[u8]) -> Vec<(u32, i32)> {
    send_by(&socket_of_netfilter(), bytes)
}

fn send_by(fd: &OwnedFd, bytes: &[u8]) -> Vec<(u32, i32)> {
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

/// Sets and maps, and what rules do with them.
fn maps() -> Table {
    let (from, to) = (Side::Source, Side::Destination);
    let four = |side| Field::Address(Family::Ipv4, side);
    let six = |side| Field::Address(Family::Ipv6, side);
    let (protocol, port) = (Field::Protocol, Field::Port(to));
    let service = |address| vec![address, protocol.clone(), port.clone()];
    let slot = |address, slot| [service(address), vec![slot]].concat();
    let hash = |of| Field::Hash { of, modulus: 128, seed: 0x1234 };
    let set = |name: &str, key, content| Set { name: name.to_owned(), key, content, learnt: None };
    let target = |address| Content::Data(vec![address, port.clone()]);
    let mut affinity = [vec![four(from)], service(four(to))].concat();
    let learnt = Set { learnt: Some(4096), ..set("kept", affinity.clone(), target(four(to))) };
    let sets = vec![
        set("services", service(four(to)), Content::Verdict),
        set("ports", vec![protocol.clone(), port.clone()], Content::Verdict),
        set("backends4", slot(four(to), Field::Turn(16)), target(four(to))),
        set("backends6", slot(six(to), Field::Turn(16)), target(six(to))),
        set("own4", vec![four(to)], Content::Nothing),
        set("own6", vec![six(from)], Content::Nothing),
        learnt,
    ];
    let dnat4 = |key| vec![Statement::DnatBy(Family::Ipv4, key, "backends4".to_owned())];
    let dnat6 = |key| vec![Statement::DnatBy(Family::Ipv6, key, "backends6".to_owned())];
    let pick = vec![
        vec![Statement::DnatBy(Family::Ipv4, affinity.clone(), "kept".to_owned())],
        dnat4(slot(four(to), Field::Turn(16))),
        dnat4(slot(four(to), Field::Chance(64))),
        dnat4(slot(four(to), hash(vec![four(from)]))),
        dnat6(slot(six(to), hash(vec![six(from), Field::Port(from)]))),
        vec![Statement::Goto("refuse".to_owned())],
    ];
    let refuse = vec![
        vec![Statement::Transport(Transport::Tcp), Statement::Reject(Rejection::Reset)],
        vec![Statement::Reject(Rejection::Unreachable)],
    ];
    affinity = vec![
        Field::Original(Family::Ipv4, from),
        Field::Original(Family::Ipv4, to),
        protocol.clone(),
        Field::OriginalPort(to),
    ];
    let learn = vec![vec![
        Statement::Transport(Transport::Udp),
        Statement::Learn {
            map: "kept".to_owned(),
            key: affinity,
            data: vec![Field::Reply(Family::Ipv4, from), Field::ReplyPort(from)],
            seconds: 600,
        },
    ]];
    let arriving = vec![
        vec![Statement::Choose(service(four(to)), "services".to_owned())],
        vec![Statement::Local(to), Statement::Choose(vec![protocol, port], "ports".to_owned())],
    ];
    let leaving = vec![
        vec![Statement::Member(vec![four(to)], "own4".to_owned()), Statement::Masquerade],
        vec![Statement::Member(vec![six(from)], "own6".to_owned()), Statement::Masquerade],
    ];
    Table {
        sight: Sight::Inet,
        name: "mapped".to_owned(),
        comment: None,
        owner: Owner::Nobody,
        sets,
        chains: vec![
            chain("refuse", None, refuse),
            chain("pick", None, pick),
            chain("learn", None, learn),
            chain("arriving", base(Kind::Nat, Hook::Prerouting, -100, Policy::Accept), arriving),
            chain("leaving", base(Kind::Nat, Hook::Postrouting, 100, Policy::Accept), leaving),
        ],
    }
}

/// One element of each set of [`maps`] that batches fill.
fn elements() -> Vec<Element> {
    let (tcp, number) = (Value::Protocol(Transport::Tcp), Value::Number);
    let element = |set: &'static str, key: &[Value], data| Element {
        set: set.into(),
        key: key.to_vec(),
        data,
    };
    let (address, own) = (Value::Address(ip("10.0.0.1")), Value::Address(ip("10.1.0.2")));
    let (address6, own6) = (Value::Address(ip("fd00::1")), Value::Address(ip("fd01::2")));
    let (port, inside) = (Value::Port(80), Value::Port(8080));
    vec![
        element("services", &[address, tcp, port], Datum::Goto("pick".into())),
        element("ports", &[tcp, port], Datum::Goto("refuse".into())),
        element("backends4", &[address, tcp, port, number(0)], Datum::Data(vec![own, inside])),
        element("backends4", &[address, tcp, port, number(15)], Datum::Data(vec![own, inside])),
        element("backends6", &[address6, tcp, port, number(1)], Datum::Data(vec![own6, inside])),
        element("own4", &[own], Datum::Nothing),
        element("own6", &[own6], Datum::Nothing),
    ]
}

#[test]
fn maps_are_the_same_too_and_what_is_listed_loads_again() {
    let list = || nft(&["list", "ruleset"], "");
    let from_messages = alone(|| {
        let encoded = Batch::default().create(&maps()).add("mapped", &elements()).encode();
        let refused = send(&encoded.bytes).into_iter().find(|(_, code)| *code != 0);
        let refused = refused.map(|(sequence, code)| (encoded.object(sequence).to_owned(), code));
        assert_eq!(refused, None);
        list()
    });
    let from_text = alone(|| {
        nft(&["-f", "-"], &maps().to_string());
        for element in elements() {
            let Element { set, .. } = &element;
            nft(&["-f", "-"], &format!("add element inet mapped {set} {{ {element} }}"));
        }
        list()
    });
    assert!(
        from_messages.contains("10.0.0.1 . tcp . 80 . 15 : 10.1.0.2 . 8080"),
        "{from_messages}"
    );
    assert_eq!(from_messages, from_text);
    let loaded_again = alone(|| {
        nft(&["-f", "-"], &from_messages);
        list()
    });
    assert_eq!(from_messages, loaded_again);
}

#[test]
fn elements_are_replaced_as_a_whole() {
    alone(|| {
        send(&Batch::default().create(&maps()).add("mapped", &elements()).encode().bytes);
        let old = elements()[2].clone();
        let data = Datum::Data(vec![Value::Address(ip("10.1.0.9")), Value::Port(9)]);
        let new = Element { data, ..old.clone() };
        let encoded = Batch::default().remove("mapped", [&old]).add("mapped", [&new]).encode();
        assert_eq!(send(&encoded.bytes), [(2, 0)]);
        let listed = nft(&["list", "map", "inet", "mapped", "backends4"], "");
        assert!(listed.contains("10.0.0.1 . tcp . 80 . 0 : 10.1.0.9 . 9"), "{listed}");
        // What is there with other data, and what is not there, are errors that name it.
        let encoded = Batch::default().add("mapped", [&old]).encode();
        let object = "element `10.0.0.1 . tcp . 80 . 0 : 10.1.0.2 . 8080` of set backends4 of \
                      table mapped";
        let refused = send(&encoded.bytes).into_iter().find(|(_, code)| *code != 0).unwrap();
        assert_eq!((encoded.object(refused.0), refused.1), (object, EXISTS));
        assert_eq!(nft(&["list", "map", "inet", "mapped", "backends4"], ""), listed);
    });
}

#[test]
fn a_table_that_outlives_its_socket_is_taken_over() {
    let table = Table { owner: Owner::Successive, ..maps() };
    let flags = "flags owner,persist";
    assert!(table.to_string().contains(flags), "{table}");
    alone(|| {
        let create = Batch::default().create(&table).encode();
        let refused = send(&create.bytes).into_iter().find(|(_, code)| *code != 0);
        assert_eq!(refused, None, "kernel 6.9 is needed");
        let listed = nft(&["list", "table", "inet", "mapped"], "");
        assert!(listed.contains("chain pick"), "{listed}");
        let owner = socket_of_netfilter();
        let take = Batch::default().take("mapped").encode();
        assert_eq!(send_by(&owner, &take.bytes), [(1, 0)]);
        // Of the two who may flush, the foreign one no longer may.
        nft(&["flush", "ruleset"], "");
        assert!(nft(&["list", "table", "inet", "mapped"], "").contains("chain pick"));
        drop(owner);
        assert!(nft(&["list", "table", "inet", "mapped"], "").contains("chain pick"));
    });
}

/// A table that sees what the loopback device receives.
fn door() -> Table {
    let hook = Hook::Ingress("lo".to_owned());
    let rules = vec![vec![Statement::ForHost]];
    let chains = vec![chain("door", base(Kind::Filter, hook, 0, Policy::Accept), rules)];
    Table {
        sight: Sight::Netdev,
        name: "door".to_owned(),
        comment: None,
        owner: Owner::Nobody,
        sets: vec![],
        chains,
    }
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
