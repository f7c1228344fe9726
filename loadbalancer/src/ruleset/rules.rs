//! The rules of the table's chains.
//!
//! Invariant: a key has the same fields as in the map that it is looked up in. What finds nothing
//! in a picking chain is refused: it is a packet that met a service as it was before a change and
//! its slots as they are after it, or one of a protocol that no backend speaks.

use super::shape::{
    AFFINITY, BACKENDS, FAMILIES, FROM, LOCAL, PORT_BACKENDS, PORTS, Pair, REFUSE, REMOTE,
    SERVICES, STICKY, STICKY_PORTS, Statements, TO, client, port, service,
};
use crate::nft::{Device, Family, Field, Rejection, Relation, State, Statement, Transport};
use crate::policy::{Choice, Count};
use crate::registry::Affinity;

/// Sets this use of a hash apart from others of the same host.
const SEED: u32 = 0x6c62_2e01;

pub(super) fn refuse() -> Vec<Statements> {
    vec![
        vec![Statement::Transport(Transport::Tcp), Statement::Reject(Rejection::Reset)],
        vec![Statement::Reject(Rejection::Unreachable)],
    ]
}

pub(super) fn pick(any: bool, sticky: bool, count: Count, choice: Choice) -> Vec<Statements> {
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
pub(super) fn arriving() -> Vec<Statements> {
    let mut rules: Vec<_> = FAMILIES
        .map(|family| vec![Statement::Choose(service(family), SERVICES.of(family).to_owned())])
        .into();
    // Whoever means one backend by its own address is not sent to another of its service.
    rules.extend(FAMILIES.map(|family| {
        let own = vec![Field::Address(family, TO)];
        vec![Statement::Member(own, LOCAL.of(family).to_owned()), Statement::Accept]
    }));
    rules.push(vec![Statement::Local(TO), Statement::Choose(port(), PORTS.to_owned())]);
    rules
}

/// Nobody outside reaches a backend of this host but through its service. What it asked for itself
/// comes back.
pub(super) fn guard() -> Vec<Statements> {
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
pub(super) fn leaving() -> Vec<Statements> {
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
pub(super) fn learning_rules() -> Vec<Statements> {
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

pub(super) fn learn(affinity: Affinity) -> Vec<Statements> {
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
