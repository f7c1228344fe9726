//! The shape of the table: sets, maps and chains, which no service changes.
//!
//! Invariant: a key has the same fields in the map, in the rule that looks it up and in the
//! elements.

use super::rules;
use crate::nft::{
    Base, Chain, Content, Family, Field, Hook, Kind, Owner, Policy, Rule, Set, Side, Sight,
    Statement, Table,
};
use crate::policy::{Choice, Count};
use crate::registry::{Affinity, Place};

/// The table's name.
pub const NAME: &str = "hostctl";

/// A name of one set for each protocol.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair(&'static str, &'static str);

impl Pair {
    pub(super) fn of(self, family: Family) -> &'static str {
        match family {
            Family::Ipv4 => self.0,
            Family::Ipv6 => self.1,
        }
    }
}

/// Where packets for an address and port go.
pub(super) const SERVICES: Pair = Pair("services4", "services6");
/// Where packets for a port of any address of this host go.
pub(super) const PORTS: &str = "ports";
/// Who has a slot.
pub(super) const BACKENDS: Pair = Pair("backends4", "backends6");
/// Who has a slot of a service at any address.
pub(super) const PORT_BACKENDS: Pair = Pair("port-backends4", "port-backends6");
/// Which services' clients stay with their backends, and how long. IPv4 alone: clients by IPv6 stay
/// by the hash of their address (nft(8) 1.0.6 cannot load a rule that learns as much as an address
/// of either takes).
pub(super) const STICKY: &str = "sticky4";
/// The same for services at any address.
pub(super) const STICKY_PORTS: &str = "sticky-ports";
/// Who stays with whom.
pub(super) const AFFINITY: &str = "affinity4";
/// Clients that are remembered at most.
const REMEMBERED: u32 = 65_536;
/// Addresses of backends on this host.
pub(super) const LOCAL: Pair = Pair("local4", "local6");
/// Addresses of backends elsewhere.
pub(super) const REMOTE: Pair = Pair("remote4", "remote6");
/// The chain that tells clients that there is nobody.
pub(super) const REFUSE: &str = "refuse";
/// The chain that tells them nothing.
pub(super) const IGNORE: &str = "ignore";

/// Priorities (linux/netfilter_ipv4.h).
const DESTINATION: i32 = -100;
const FILTER: i32 = 0;
/// Before the usual place for rewriting sources, so that a client of this balancer keeps its
/// address where it can, whatever comes behind.
const SOURCE: i32 = 90;

pub(super) const FROM: Side = Side::Source;
pub(super) const TO: Side = Side::Destination;
pub(super) const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

pub(super) type Statements = Vec<Statement>;

/// The set that an address of a backend is in.
pub(super) fn own(place: Place) -> Pair {
    match place {
        Place::Local => LOCAL,
        Place::Remote => REMOTE,
    }
}

/// The name of the chain that picks.
pub(super) fn pick_chain(any: bool, sticky: bool, count: Count, choice: Choice) -> String {
    let word = if sticky { "keep" } else { "pick" };
    let place = if any { "-port" } else { "" };
    let key = match choice {
        Choice::Turn => "turn",
        Choice::Chance => "chance",
        Choice::Source => "source",
        Choice::SourceAndPort => "source-port",
    };
    format!("{word}{place}-{}-{key}", count.get())
}

/// The name of the chain that remembers whom a client got.
pub(super) fn learn_chain(affinity: Affinity) -> String {
    format!("learn-{}", affinity.seconds())
}

/// The table without elements.
pub fn table(owner: Owner) -> Table {
    let mut chains =
        vec![chain(REFUSE, rules::refuse()), chain(IGNORE, vec![vec![Statement::Drop]])];
    for sticky in [false, true] {
        for any in [false, true] {
            for count in Count::ALL {
                for choice in Choice::ALL {
                    let name = pick_chain(any, sticky, count, choice);
                    chains.push(chain(&name, rules::pick(any, sticky, count, choice)));
                }
            }
        }
    }
    let learning =
        Affinity::ALL.map(|affinity| chain(&learn_chain(affinity), rules::learn(affinity)));
    chains.extend(learning);
    chains.extend([
        base("arriving", Kind::Nat, Hook::Prerouting, DESTINATION, rules::arriving()),
        base("local", Kind::Nat, Hook::Output, DESTINATION, rules::arriving()),
        base("guard", Kind::Filter, Hook::Input, FILTER, rules::guard()),
        base("learning-here", Kind::Filter, Hook::Input, FILTER, rules::learning_rules()),
        base("learning", Kind::Filter, Hook::Postrouting, FILTER, rules::learning_rules()),
        base("leaving", Kind::Nat, Hook::Postrouting, SOURCE, rules::leaving()),
    ]);
    let name = NAME.to_owned();
    let mut table = Table {
        sight: Sight::Inet,
        name,
        comment: None,
        owner: Owner::Nobody,
        sets: sets(),
        chains,
    };
    table.comment = Some(format!("of hostctl, shape {:016x}", stamp(&table.to_string())));
    table.owner = owner;
    table
}

/// Tells one shape from another (FNV-1a, draft-eastlake-fnv): a hostd that finds the table of
/// another version replaces it as a whole.
fn stamp(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn sets() -> Vec<Set> {
    let set = |name: &str, key, content| Set { name: name.to_owned(), key, content, learnt: None };
    let target = |family| Content::Data(vec![Field::Address(family, TO), Field::Port(TO)]);
    let slot = || vec![Field::Turn(Count::Few.get() as u32)];
    let mut sets = vec![set(PORTS, port(), Content::Verdict)];
    for family in FAMILIES {
        let slotted = [service(family), slot()].concat();
        let slotted_port = [port(), slot()].concat();
        sets.extend([
            set(SERVICES.of(family), service(family), Content::Verdict),
            set(BACKENDS.of(family), slotted, target(family)),
            set(PORT_BACKENDS.of(family), slotted_port, target(family)),
            set(LOCAL.of(family), vec![Field::Address(family, TO)], Content::Nothing),
            set(REMOTE.of(family), vec![Field::Address(family, TO)], Content::Nothing),
        ]);
    }
    sets.extend([
        set(STICKY_PORTS, port(), Content::Verdict),
        set(STICKY, service(Family::Ipv4), Content::Verdict),
        Set { learnt: Some(REMEMBERED), ..set(AFFINITY, client(), target(Family::Ipv4)) },
    ]);
    sets
}

/// A service as a packet names it.
pub(super) fn service(family: Family) -> Vec<Field> {
    [vec![Field::Address(family, TO)], port()].concat()
}

pub(super) fn port() -> Vec<Field> {
    vec![Field::Protocol, Field::Port(TO)]
}

/// A client of a service, and the service.
pub(super) fn client() -> Vec<Field> {
    [vec![Field::Address(Family::Ipv4, FROM)], service(Family::Ipv4)].concat()
}

fn chain(name: &str, rules: Vec<Statements>) -> Chain {
    Chain { name: name.to_owned(), base: None, rules: rules.into_iter().map(Rule).collect() }
}

fn base(name: &str, kind: Kind, hook: Hook, priority: i32, rules: Vec<Statements>) -> Chain {
    let base = Some(Base { kind, hook, priority, policy: Policy::Accept });
    Chain { base, ..chain(name, rules) }
}
