//! The writer and the kernel: taking over, repair, and what is left alone.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::time::Instant;

use loadbalancer::nft::Owner;
use loadbalancer::registry::{BackendId, Change, Event, Name, Registry};
use loadbalancer::ruleset::Ruleset;
use loadbalancer::writer::{Answer, Found, Kernel, WriteError, Writer};
use support::kernel::{Socket, alone, netfilter, nft, ruleset};
use support::registry;

const CASE: &str = r#"
    [services.api]
    listen = ["tcp 10.0.0.1 80", "tcp fd00::1 80", "udp 53"]
    policy = "weighted"
    affinity = 60
    [services.api.backends]
    "1" = { target = "10.99.0.1:80", weight = 3 }
    "2" = { target = "10.99.0.2:80" }
    "3" = { target = "[fd99::3]:80", remote = true }
    [services.idle]
    listen = ["tcp 81"]
    policy = "round-robin"
"#;

fn case() -> Registry {
    registry(&toml::from_str(CASE).unwrap())
}

fn start(registry: &Registry) -> Writer<Socket> {
    Writer::start(Socket(netfilter()), Ruleset::of(registry)).unwrap()
}

fn fail<K: Kernel>(registry: &mut Registry, writer: &mut Writer<K>) -> Result<(), WriteError> {
    let api = Name::new("api").unwrap();
    let change = Change::Report(api.clone(), BackendId::new("2").unwrap(), Event::Failed);
    registry.apply(change).unwrap();
    writer.write(|ruleset| ruleset.renew(registry, &api))
}

/// What nft(8) prints, its lines in an order: that of elements is the kernel's own.
fn listed() -> BTreeSet<String> {
    let words = |line: &str| line.trim().trim_start_matches("elements = {").trim().to_owned();
    ruleset().lines().map(|line| words(line).trim_end_matches([',', '}', ' ']).to_owned()).collect()
}

/// They are, or what differs.
fn same(found: &BTreeSet<String>, expected: &BTreeSet<String>) {
    let differ: Vec<_> = found.symmetric_difference(expected).collect();
    assert!(differ.is_empty(), "{differ:?}");
}

/// A kernel without tables that outlive their owner.
struct Old(Socket);

impl Kernel for Old {
    fn commit(&mut self, batch: &[u8]) -> Result<(), Answer> {
        // NFTA_TABLE_FLAGS with NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST.
        let flags = [8, 0, 2, 0, 0, 0, 0, 6];
        // A table's flags come before anything else that looks like them.
        let beginning = &batch[..batch.len().min(300)];
        if beginning.windows(flags.len()).any(|bytes| bytes == flags) {
            return Err(Answer { sequence: 1, errno: 95, text: None });
        }
        self.0.commit(batch)
    }

    fn ask(&mut self, request: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), Answer> {
        self.0.ask(request, each)
    }
}

/// A socket whose answers get lost (ENOBUFS) once there is a table.
struct Deaf(Socket, usize);

impl Kernel for Deaf {
    fn commit(&mut self, batch: &[u8]) -> Result<(), Answer> {
        self.1 += 1;
        let done = self.0.commit(batch);
        if self.1 > 1 { Err(Answer { sequence: 0, errno: 105, text: None }) } else { done }
    }

    fn ask(&mut self, request: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), Answer> {
        self.0.ask(request, each)
    }
}

#[test]
fn a_table_is_taken_over_as_it_is() {
    alone(|| {
        let mut registry = case();
        let writer = start(&registry);
        assert_eq!(writer.owner(), Owner::Successive, "kernel 6.9 is needed");
        let (handles, before) = (nft(&["-a", "list", "ruleset"], ""), listed());
        drop(writer);
        let mut writer = start(&registry);
        assert_eq!(nft(&["-a", "list", "ruleset"], ""), handles, "something was made anew");
        assert_eq!(writer.look().unwrap(), Found::Whole);
        // What changed while nobody was there is changed in what is there.
        drop(writer);
        let api = Name::new("api").unwrap();
        let change = Change::Report(api, BackendId::new("2").unwrap(), Event::Failed);
        registry.apply(change).unwrap();
        drop(start(&registry));
        let after = listed();
        assert_ne!(after, before);
        nft(&["delete", "table", "inet", "hostctl"], "");
        drop(start(&registry));
        same(&listed(), &after);
        // A table of another shape is replaced.
        nft(&["delete", "table", "inet", "hostctl"], "");
        nft(&["-f", "-"], "table inet hostctl { comment \"of hostctl, shape 0\"; chain old { }; }");
        drop(start(&registry));
        same(&listed(), &after);
    });
}

#[test]
fn nobody_else_changes_the_table_and_nobody_has_it_twice() {
    alone(|| {
        let mut registry = case();
        let mut writer = start(&registry);
        let before = ruleset();
        nft(&["flush", "ruleset"], "");
        assert_eq!(ruleset(), before);
        assert_eq!(writer.look().unwrap(), Found::Whole);
        let error = Writer::start(Socket(netfilter()), Ruleset::of(&registry)).unwrap_err();
        let text = "the kernel refuses table hostctl: Operation not permitted (os error 1)";
        assert_eq!(error.to_string(), text);
        // Tables of others change, and this one still does.
        nft(&["add", "table", "inet", "other"], "");
        fail(&mut registry, &mut writer).unwrap();
        assert_eq!(writer.look().unwrap(), Found::Whole);
        assert!(!ruleset().contains("10.99.0.2 . 80"));
    });
}

#[test]
fn a_flush_is_repaired_where_the_table_is_nobodys() {
    alone(|| {
        let registry = case();
        let mut writer = Writer::start(Old(Socket(netfilter())), Ruleset::of(&registry)).unwrap();
        assert_eq!(writer.owner(), Owner::Nobody);
        let before = listed();
        assert_eq!(writer.look().unwrap(), Found::Whole);
        nft(&["flush", "ruleset"], "");
        assert_eq!(ruleset(), "");
        assert_eq!(writer.look().unwrap(), Found::Gone);
        same(&listed(), &before);
        nft(&["delete", "element", "inet", "hostctl", "services4", "{ 10.0.0.1 . tcp . 80 }"], "");
        nft(&["add", "element", "inet", "hostctl", "ports", "{ tcp . 9 : goto refuse }"], "");
        assert_ne!(listed(), before);
        assert_eq!(writer.look().unwrap(), Found::Changed);
        same(&listed(), &before);
        assert_eq!(writer.look().unwrap(), Found::Whole);
        // A change that meets no table makes it.
        let mut registry = registry;
        nft(&["flush", "ruleset"], "");
        fail(&mut registry, &mut writer).unwrap();
        assert!(ruleset().contains("10.99.0.1 . 80") && !ruleset().contains("10.99.0.2 . 80"));
        // The next hostd leaves what is right alone.
        let handles = nft(&["-a", "list", "ruleset"], "");
        drop(writer);
        drop(Writer::start(Old(Socket(netfilter())), Ruleset::of(&registry)).unwrap());
        assert_eq!(nft(&["-a", "list", "ruleset"], ""), handles);
    });
}

#[test]
fn a_lost_answer_is_read_back() {
    alone(|| {
        let mut registry = case();
        let kernel = Deaf(Socket(netfilter()), 0);
        let mut writer = Writer::start(kernel, Ruleset::of(&registry)).unwrap();
        fail(&mut registry, &mut writer).unwrap();
        assert!(!ruleset().contains("10.99.0.2 . 80"));
        assert_eq!(writer.look().unwrap(), Found::Whole);
    });
}

#[test]
fn tables_of_others_are_left_as_they_are() {
    let foreign = "table ip nat {
        map m { type inet_service : ipv4_addr . inet_service; elements = { 80 : 10.0.0.9 . 80 }; }
        chain prerouting { type nat hook prerouting priority -100; dnat to tcp dport map @m; }
    }
    table inet filter {
        chain input { type filter hook input priority 0; tcp dport 22 accept; }
    }";
    let others = || {
        let of = |family, name| nft(&["-a", "list", "table", family, name], "");
        of("ip", "nat") + &of("inet", "filter")
    };
    alone(|| {
        nft(&["-f", "-"], foreign);
        let before = others();
        let mut registry = case();
        let mut writer = start(&registry);
        fail(&mut registry, &mut writer).unwrap();
        writer.look().unwrap();
        drop(writer);
        drop(start(&case()));
        nft(&["delete", "table", "inet", "hostctl"], "");
        assert_eq!(others(), before);
    });
}

/// So many services with three backends each.
fn many(services: u32) -> Registry {
    let mut text = String::new();
    for index in 0..services {
        let (high, low) = (index / 250, index % 250 + 1);
        text += &format!("[services.s{index}]\nlisten = [\"tcp 10.{high}.0.{low} 80\"]\n");
        text += &format!("policy = \"round-robin\"\n[services.s{index}.backends]\n");
        for number in 1..=3 {
            text += &format!("b{number} = {{ target = \"10.{high}.{number}.{low}:8080\" }}\n");
        }
    }
    registry(&toml::from_str(&text).unwrap())
}

/// A socket that counts the bytes of batches.
struct Counting(Socket, std::rc::Rc<std::cell::RefCell<Vec<usize>>>);

impl Kernel for Counting {
    fn commit(&mut self, batch: &[u8]) -> Result<(), Answer> {
        self.1.borrow_mut().push(batch.len());
        self.0.commit(batch)
    }

    fn ask(&mut self, request: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), Answer> {
        self.0.ask(request, each)
    }
}

#[test]
fn a_change_is_as_small_among_ten_thousand_services_as_among_ten() {
    let change_of = |services: u32| {
        alone(|| {
            let mut registry = many(services);
            let batches = std::rc::Rc::default();
            let kernel = Counting(Socket(netfilter()), std::rc::Rc::clone(&batches));
            let began = Instant::now();
            let mut writer = Writer::start(kernel, Ruleset::of(&registry)).unwrap();
            let loaded = began.elapsed();
            assert_eq!(batches.borrow().len(), 1, "loaded in one batch");
            let name = Name::new("s7").unwrap();
            let mut times = Vec::new();
            for event in [Event::Failed, Event::Passed, Event::Shift].repeat(30) {
                let change = Change::Report(name.clone(), BackendId::new("b2").unwrap(), event);
                registry.apply(change).unwrap();
                let began = Instant::now();
                writer.write(|ruleset| ruleset.renew(&registry, &name)).unwrap();
                times.push(began.elapsed());
            }
            times.sort();
            // Figures for whoever reads; nothing timed is asserted.
            eprintln!("{services} services: {loaded:?} to load, {:?} a change", times[60]);
            assert_eq!(writer.look().unwrap(), Found::Whole);
            batches.borrow()[1..].iter().copied().collect::<BTreeSet<_>>()
        })
    };
    let (few, many) = (change_of(10), change_of(10_000));
    assert!(!few.is_empty());
    assert_eq!(few, change_of(1_000));
    assert_eq!(few, many);
}
