//! What connections meet: a client, the host and three backends, each in a network namespace.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loadbalancer::policy::{Candidate, Policy};
use loadbalancer::registry::{BackendId, Change, Event, Name, Registry};
use loadbalancer::ruleset::Ruleset;
use loadbalancer::writer::Writer;
use support::kernel::{Socket, netfilter, nft};
use support::net::{Place, World, ask};
use support::registry;

/// Put a registry in force on the host. The writer stays in the thread that made it.
fn load(host: &Place, text: &str) {
    let registry = registry(&toml::from_str(text).unwrap());
    host.run(move || drop(start(&registry)));
}

fn start(registry: &Registry) -> Writer<Socket> {
    Writer::start(Socket(netfilter()), Ruleset::of(registry)).unwrap()
}

/// Three backends behind the bridge; the second one is heavier, busier, and of another version.
fn three(policy: &str, more: &str) -> String {
    format!(
        r#"
        [services.api]
        listen = ["tcp 10.77.0.1 8080", "udp 10.77.0.1 8080", "tcp fd77::1 8080"]
        policy = "{policy}"
        {more}
        [services.api.backends]
        "1" = {{ target = "10.99.0.1:80", weight = 100, connections = 5 }}
        "2" = {{ target = "10.99.0.2:80", weight = 200, connections = 20, version = "2" }}
        "3" = {{ target = "10.99.0.3:80", weight = 100, connections = 10 }}
        "4" = {{ target = "[fd99::1]:80" }}
        "#
    )
}

/// The share of each backend that answers by IPv4, as its policy wants it.
fn shares(registry: &Registry) -> BTreeMap<String, f64> {
    let service = registry.service(&Name::new("api").unwrap()).unwrap();
    let serving: Vec<_> = service
        .serving()
        .filter(|(_, backend)| backend.given().target.get().is_ipv4())
        .map(|(id, backend)| Candidate {
            id,
            weight: backend.given().weight,
            version: backend.given().version.as_deref(),
            connections: backend.connections(),
        })
        .collect();
    let policy = service.policy();
    let slots = policy.slots(&serving, policy.count(&serving));
    let mut shares = BTreeMap::new();
    for slot in &slots {
        let id = serving[*slot].id.to_string();
        *shares.entry(id).or_insert(0.0) += 1.0 / slots.len() as f64;
    }
    shares
}

const CONNECTIONS: u32 = 10_000;

/// Connect so often, each time as another client; who answered how often.
fn connect(client: &Place) -> BTreeMap<String, u32> {
    let part = |from: u32| {
        client.start(move || {
            let mut answers = BTreeMap::new();
            for index in from..from + CONNECTIONS / 2 {
                let source = IpAddr::from(Ipv4Addr::from(0x0a4e_0001 + index * 6));
                let answer = ask(Some(source), "10.77.0.1:8080".parse().unwrap()).unwrap();
                let (backend, seen) = answer.split_once(' ').unwrap();
                assert_eq!(seen, source.to_string(), "the client's address is not seen");
                *answers.entry(backend.to_owned()).or_insert(0) += 1;
            }
            answers
        })
    };
    let halves = [part(0), part(CONNECTIONS / 2)].map(|half| half.join().unwrap());
    let mut whole = BTreeMap::new();
    halves.into_iter().flatten().for_each(|(name, count)| *whole.entry(name).or_insert(0) += count);
    whole
}

/// How far numbers are from shares (Pearson). Three backends have two degrees of freedom: more
/// than 13.8 is seen once in a thousand times, more than 27.6 once in a million.
fn chi_square(found: &BTreeMap<String, u32>, shares: &BTreeMap<String, f64>) -> f64 {
    let one = |(name, share): (&String, &f64)| {
        let expected = share * f64::from(CONNECTIONS);
        (f64::from(found.get(name).copied().unwrap_or(0)) - expected).powi(2) / expected
    };
    shares.iter().map(one).sum()
}

#[test]
fn each_policy_spreads_ten_thousand_connections_as_it_says() {
    let world = World::new();
    for policy in [
        "round-robin",
        "weighted",
        "random",
        "source-hash",
        "source-hash port",
        "least-connections",
        "p2c",
        "canary 2 10",
    ] {
        let text = three(policy, "");
        let shares = shares(&registry(&toml::from_str(&text).unwrap()));
        load(&world.host, &text);
        let found = connect(&world.client);
        let distance = chi_square(&found, &shares);
        assert!(distance < 27.6, "{policy}: {found:?} for {shares:?}: {distance}");
        assert_eq!(found.values().sum::<u32>(), CONNECTIONS, "{policy}");
    }
}

#[test]
fn clients_of_all_kinds_reach_backends_and_are_seen() {
    let world = World::new();
    let text = r#"
        [services.routed]
        listen = ["tcp 10.77.0.1 8080", "udp 10.77.0.1 8080", "tcp fd77::1 8080", "udp fd77::1 8080"]
        policy = "round-robin"
        [services.routed.backends]
        "1" = { target = "10.99.0.1:80" }
        "2" = { target = "[fd99::2]:80" }
        [services.own]
        listen = ["tcp 81", "udp 81"]
        policy = "round-robin"
        [services.own.backends]
        "4" = { target = "10.98.0.1:80" }
        [services.far]
        listen = ["tcp 82"]
        policy = "round-robin"
        [services.far.backends]
        "3" = { target = "10.99.0.3:80", remote = true }
    "#;
    load(&world.host, text);
    let World { client, host, .. } = &world;
    for (place, to, answer) in [
        (client, "10.77.0.1:8080", "1 10.77.0.2"),
        (client, "[fd77::1]:8080", "2 fd77::2"),
        (host, "10.77.0.1:8080", "1 10.77.0.1"),
        (host, "[fd77::1]:8080", "2 fd77::1"),
        (client, "10.77.0.1:81", "4 10.77.0.2"),
        (host, "10.77.0.1:81", "4 10.77.0.1"),
        (host, "127.0.0.1:81", "4 127.0.0.1"),
    ] {
        assert_eq!(place.ask(None, to).ok().as_deref(), Some(answer), "{to}");
        assert_eq!(place.ask_udp(to).ok().as_deref(), Some(answer), "{to} by UDP");
    }
    // One elsewhere would answer the client itself.
    assert_eq!(client.ask(None, "10.77.0.1:82").unwrap(), "3 10.99.0.254");
    // No backend speaks IPv6 there: refused at once, not left to who else listens there.
    host.serve("[::]:81", "other");
    let refused = |place: &Place, to: &str| place.ask(None, to).unwrap_err().kind();
    assert_eq!(refused(client, "[fd77::1]:81"), ErrorKind::ConnectionRefused);
    assert_eq!(refused(host, "[::1]:81"), ErrorKind::ConnectionRefused);
    // Nobody from outside, past the service.
    host.ip("address add 10.77.0.9/24 dev clients");
    host.serve("10.77.0.9:80", "open");
    client.ip("route add 10.98.0.0/24 via 10.77.0.1");
    assert_eq!(client.ask(None, "10.77.0.9:80").unwrap(), "open 10.77.0.2");
    assert!(client.ask(None, "10.98.0.1:80").is_err());
    assert_eq!(host.ask(None, "10.98.0.1:80").unwrap(), "4 10.98.0.1");
}

#[test]
fn nobody_refuses_at_once_or_not_at_all() {
    let world = World::new();
    let text = r#"
        [services.api]
        listen = ["tcp 8080", "udp 8080"]
        policy = "round-robin"
        [services.quiet]
        listen = ["tcp 8081"]
        policy = "round-robin"
        ignore = true
    "#;
    load(&world.host, text);
    let World { client, host, .. } = &world;
    // Somebody who listens there is not found either: the port is the service's.
    host.serve("0.0.0.0:8080", "other");
    for to in ["10.77.0.1:8080", "[fd77::1]:8080"] {
        for place in [client, host] {
            let kind = place.ask(None, to).unwrap_err().kind();
            assert_eq!(kind, ErrorKind::ConnectionRefused, "{to}");
            // The host's own are told by send(2).
            let kind = place.ask_udp(to).unwrap_err().kind();
            let told = matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::PermissionDenied);
            assert!(told, "{to} by UDP: {kind}");
        }
    }
    let silence = client.ask(None, "10.77.0.1:8081").unwrap_err().kind();
    assert_ne!(silence, ErrorKind::ConnectionRefused);
}

#[test]
fn a_backend_reaches_itself_and_others_by_the_service() {
    let world = World::new();
    for filtered in ["0", "1"] {
        world.host.set("bridge/bridge-nf-call-iptables", filtered);
        world.host.set("bridge/bridge-nf-call-ip6tables", filtered);
        load(&world.host, &three("round-robin", ""));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..9 {
            let answer = world.backends[0].ask(None, "10.77.0.1:8080");
            seen.insert(answer.unwrap_or_else(|error| format!("{filtered}: {error}")));
        }
        let expected = ["1 10.99.0.254", "2 10.99.0.254", "3 10.99.0.254"];
        assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        let itself = world.backends[0].ask(None, "[fd77::1]:8080").unwrap();
        assert_eq!(itself, "1 fd99::fe", "bridge filter {filtered}");
    }
}

#[test]
fn clients_stay_until_their_backend_is_gone() {
    let world = World::new();
    let registry = registry(&toml::from_str(&three("random", "affinity = 600")).unwrap());
    let (told, ready) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<String>();
    let host = world.host.start(move || {
        let mut registry = registry;
        let mut writer = start(&registry);
        told.send(()).unwrap();
        let backend = BackendId::new(&gone.recv().unwrap()).unwrap();
        let api = Name::new("api").unwrap();
        let failed = Change::Report(api.clone(), backend, Event::Failed);
        registry.apply(failed).unwrap();
        writer.write(|ruleset| ruleset.renew(&registry, &api)).unwrap();
        told.send(()).unwrap();
    });
    ready.recv().unwrap();
    let ask = |client: u8| {
        let from = format!("10.78.0.{client}");
        let answer = world.client.ask(Some(&from), "10.77.0.1:8080").unwrap();
        answer.split_once(' ').unwrap().0.to_owned()
    };
    let first: Vec<_> = (1..=40).map(ask).collect();
    for number in ["1", "2", "3"] {
        assert!(first.iter().any(|backend| backend == number), "{first:?}");
    }
    for _ in 0..5 {
        assert_eq!((1..=40).map(ask).collect::<Vec<_>>(), first);
    }
    go.send("2".to_owned()).unwrap();
    ready.recv().unwrap();
    let after: Vec<_> = (1..=40).map(ask).collect();
    for (before, after) in first.iter().zip(&after) {
        assert!(if before == "2" { after != "2" } else { before == after }, "{before} {after}");
    }
    assert_eq!((1..=40).map(ask).collect::<Vec<_>>(), after);
    host.join().unwrap();
}

#[test]
fn no_connection_fails_while_backends_change() {
    let world = World::new();
    let stop = Arc::new(AtomicBool::new(false));
    let mut registry = registry(&toml::from_str(&three("weighted", "")).unwrap());
    load(&world.host, &three("weighted", ""));
    let seen = stop.clone();
    let writes = world.host.start(move || {
        let mut writer = start(&registry);
        let api = Name::new("api").unwrap();
        let policies = [Policy::RoundRobin, Policy::SourceHash { port: true }, Policy::Weighted];
        let mut writes = 0;
        let mut policies = policies.iter().cycle();
        while !seen.load(Ordering::Relaxed) {
            // Each drains, goes, comes back and serves; slots become more and fewer.
            for number in ["1", "2", "3"] {
                let id = BackendId::new(number).unwrap();
                for event in [Event::Failed, Event::Passed, Event::Shift] {
                    let change = Change::Report(api.clone(), id.clone(), event);
                    registry.apply(change).unwrap();
                    writer.write(|ruleset| ruleset.renew(&registry, &api)).unwrap();
                    writes += 1;
                }
            }
            let policy = policies.next().unwrap().clone();
            registry.apply(Change::Choose(api.clone(), policy)).unwrap();
            writer.write(|ruleset| ruleset.renew(&registry, &api)).unwrap();
        }
        writes
    });
    let found = connect(&world.client);
    stop.store(true, Ordering::Relaxed);
    assert_eq!(found.values().sum::<u32>(), CONNECTIONS);
    assert!(writes.join().unwrap() > 100);
}

#[test]
fn a_denied_port_stays_denied() {
    let world = World::new();
    let text = r#"
        [services.own]
        listen = ["tcp 80"]
        policy = "round-robin"
        [services.own.backends]
        "4" = { target = "10.98.0.1:80" }
        [services.routed]
        listen = ["tcp 8080"]
        policy = "round-robin"
        [services.routed.backends]
        "1" = { target = "10.99.0.1:80" }
    "#;
    load(&world.host, text);
    let open = |to: &str| world.client.ask(None, to).is_ok();
    assert!(open("10.77.0.1:80") && open("10.77.0.1:8080"));
    world.host.run(|| {
        let firewall = "table inet firewall {
            chain input { type filter hook input priority 0; tcp dport 80 drop; }
            chain forward { type filter hook forward priority 0; tcp dport 80 drop; }
        }";
        nft(&["-f", "-"], firewall)
    });
    assert!(!open("10.77.0.1:80") && !open("10.77.0.1:8080"));
}
