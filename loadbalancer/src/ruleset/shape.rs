//! The shape of the table: sets, maps and chains, which no service changes.
//!
//! Invariant: a key has the same fields in the map, in the rule that looks it up and in the
//! elements. What finds nothing in a picking chain is refused: it is a packet that met a service
//! as it was before a change and its slots as they are after it, or one of a protocol that no
//! backend speaks.

use crate::nft::{
    Base, Chain, Content, Device, Family, Field, Hook, Kind, Owner, Policy, Rejection, Relation,
    Rule, Set, Side, Sight, State, Statement, Table, Transport,
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
const AFFINITY: &str = "affinity4";
/// Clients that are remembered at most.
const REMEMBERED: u32 = 65_536;
/// Addresses of backends on this host.
const LOCAL: Pair = Pair("local4", "local6");
/// Addresses of backends elsewhere.
const REMOTE: Pair = Pair("remote4", "remote6");
/// The chain that tells clients that there is nobody.
pub(super) const REFUSE: &str = "refuse";
/// The chain that tells them nothing.
pub(super) const IGNORE: &str = "ignore";

/// Sets this use of a hash apart from others of the same host.
const SEED: u32 = 0x6c62_2e01;
/// Priorities (linux/netfilter_ipv4.h).
const DESTINATION: i32 = -100;
const FILTER: i32 = 0;
/// Before the usual place for rewriting sources, so that a client of this balancer keeps its
/// address where it can, whatever comes behind.
const SOURCE: i32 = 90;

const FROM: Side = Side::Source;
const TO: Side = Side::Destination;
const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

type Statements = Vec<Statement>;

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
    let mut chains = vec![chain(REFUSE, refuse()), chain(IGNORE, vec![vec![Statement::Drop]])];
    for sticky in [false, true] {
        for any in [false, true] {
            for count in Count::ALL {
                for choice in Choice::ALL {
                    let name = pick_chain(any, sticky, count, choice);
                    chains.push(chain(&name, pick(any, sticky, count, choice)));
                }
            }
        }
    }
    let learning = Affinity::ALL.map(|affinity| chain(&learn_chain(affinity), learn(affinity)));
    chains.extend(learning);
    chains.extend([
        base("arriving", Kind::Nat, Hook::Prerouting, DESTINATION, arriving()),
        base("local", Kind::Nat, Hook::Output, DESTINATION, arriving()),
        base("guard", Kind::Filter, Hook::Input, FILTER, guard()),
        base("learning-here", Kind::Filter, Hook::Input, FILTER, learning_rules()),
        base("learning", Kind::Filter, Hook::Postrouting, FILTER, learning_rules()),
        base("leaving", Kind::Nat, Hook::Postrouting, SOURCE, leaving()),
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
fn service(family: Family) -> Vec<Field> {
    [vec![Field::Address(family, TO)], port()].concat()
}

fn port() -> Vec<Field> {
    vec![Field::Protocol, Field::Port(TO)]
}

/// A client of a service, and the service.
fn client() -> Vec<Field> {
    [vec![Field::Address(Family::Ipv4, FROM)], service(Family::Ipv4)].concat()
}

fn refuse() -> Vec<Statements> {
    vec![
        vec![Statement::Transport(Transport::Tcp), Statement::Reject(Rejection::Reset)],
        vec![Statement::Reject(Rejection::Unreachable)],
    ]
}

fn pick(any: bool, sticky: bool, count: Count, choice: Choice) -> Vec<Statements> {
    let mut rules = Vec::new();
    if sticky {
        rules.push(vec![Statement::DnatBy(Family::Ipv4, client(), AFFINITY.to_owned())]);
    }
    // Where a change has just taken slots away, the first ones are still there.
    let counts = if count == Count::Few { vec![count] } else { vec![count, Count::Few] };
    for count in counts {
        for family in FAMILIES {
            let choice = if sticky && family == Family::Ipv6 { Choice::Source } else { choice };
            let slot = draw(family, choice, count);
            let (key, map) = match any {
                true => ([port(), vec![slot]].concat(), PORT_BACKENDS),
                false => ([service(family), vec![slot]].concat(), BACKENDS),
            };
            // A key with an address says itself which protocol it is of.
            let told = !any || matches!(choice, Choice::Source | Choice::SourceAndPort);
            let mut rule = if told { vec![] } else { vec![Statement::Family(family)] };
            rule.push(Statement::DnatBy(family, key, map.of(family).to_owned()));
            rules.push(rule);
        }
    }
    rules.push(vec![Statement::Goto(REFUSE.to_owned())]);
    rules
}

fn draw(family: Family, choice: Choice, count: Count) -> Field {
    let modulus = count.get() as u32;
    let source = Field::Address(family, FROM);
    match choice {
        Choice::Turn => Field::Turn(modulus),
        Choice::Chance => Field::Chance(modulus),
        Choice::Source => Field::Hash { of: vec![source], modulus, seed: SEED },
        Choice::SourceAndPort => {
            Field::Hash { of: vec![source, Field::Port(FROM)], modulus, seed: SEED }
        }
    }
}

/// Where connections are meant to go, from outside or from this host.
fn arriving() -> Vec<Statements> {
    let mut rules: Vec<_> = FAMILIES
        .map(|family| vec![Statement::Choose(service(family), SERVICES.of(family).to_owned())])
        .into();
    rules.push(vec![Statement::Local(TO), Statement::Choose(port(), PORTS.to_owned())]);
    rules
}

/// Nobody outside reaches a backend of this host but through its service. What it asked for itself
/// comes back.
fn guard() -> Vec<Statements> {
    let known = Statement::State(vec![State::Established, State::Related]);
    let mut rules =
        vec![vec![known, Statement::Accept], vec![Statement::Redirected, Statement::Accept]];
    rules.extend(FAMILIES.map(|family| {
        vec![
            Statement::Device(FROM, Relation::Not, Device::Named("lo".to_owned())),
            Statement::Member(vec![Field::Address(family, TO)], LOCAL.of(family).to_owned()),
            Statement::Drop,
        ]
    }));
    rules
}

/// Whose answers would not come back here: a backend that is elsewhere sends them to the client
/// directly, and so does one that shares a network with a client that is a backend itself.
fn leaving() -> Vec<Statements> {
    let rule = |side, family, set: Pair| {
        vec![
            Statement::Redirected,
            Statement::Device(TO, Relation::Not, Device::Named("lo".to_owned())),
            Statement::Member(vec![Field::Address(family, side)], set.of(family).to_owned()),
            Statement::Masquerade,
        ]
    };
    FAMILIES.into_iter().flat_map(|of| [rule(FROM, of, LOCAL), rule(TO, of, REMOTE)]).collect()
}

/// Which connections teach something: new ones that were sent to a backend of a service whose
/// clients stay. It is the connection that says where its client wanted to go, and where it went.
fn learning_rules() -> Vec<Statements> {
    let transports = [Transport::Tcp, Transport::Udp];
    let original = Field::Original(Family::Ipv4, TO);
    let port = || vec![Field::Protocol, Field::OriginalPort(TO)];
    let rule = |transport, key, map: &str| {
        vec![
            Statement::State(vec![State::New]),
            Statement::Redirected,
            Statement::Transport(transport),
            Statement::Choose(key, map.to_owned()),
        ]
    };
    let of = |transport| {
        let service = [vec![original.clone()], port()].concat();
        [rule(transport, service, STICKY), rule(transport, port(), STICKY_PORTS)]
    };
    transports.into_iter().flat_map(of).collect()
}

fn learn(affinity: Affinity) -> Vec<Statements> {
    let of = |transport| {
        let original = |side| Field::Original(Family::Ipv4, side);
        let learn = Statement::Learn {
            map: AFFINITY.to_owned(),
            key: vec![original(FROM), original(TO), Field::Protocol, Field::OriginalPort(TO)],
            data: vec![Field::Reply(Family::Ipv4, FROM), Field::ReplyPort(FROM)],
            seconds: affinity.seconds(),
        };
        vec![Statement::Transport(transport), learn]
    };
    [Transport::Tcp, Transport::Udp].map(of).into()
}

fn chain(name: &str, rules: Vec<Statements>) -> Chain {
    Chain { name: name.to_owned(), base: None, rules: rules.into_iter().map(Rule).collect() }
}

fn base(name: &str, kind: Kind, hook: Hook, priority: i32, rules: Vec<Statements>) -> Chain {
    let base = Some(Base { kind, hook, priority, policy: Policy::Accept });
    Chain { base, ..chain(name, rules) }
}
