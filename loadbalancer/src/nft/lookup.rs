//! Lookups in sets and maps, as expressions of the kernel.
//!
//! Invariant: the fields of a key stand in registers one after another from word 0, each in whole
//! words; what is worked out for a field uses words behind them.

use super::expression::{Expression, Register, Target};
use super::lower::{L4PROTO, NETWORK, TRANSPORT, address_offset, by_family, port_offset};
use super::{Family, Field, Side};

/// NFT_CT_*.
const PORT_SOURCE: u32 = 11;
const PORT_DESTINATION: u32 = 12;
const SOURCE4: u32 = 19;
const DESTINATION4: u32 = 20;
const SOURCE6: u32 = 21;
const DESTINATION6: u32 = 22;
/// IP_CT_DIR_ORIGINAL, IP_CT_DIR_REPLY.
const ORIGINAL: u8 = 0;
const REPLY: u8 = 1;
/// The first word that no key reaches to: the longest are an address, a protocol, a port and a
/// slot.
const SCRATCH: u32 = 8;

/// Look a key up; the rule ends where it is not there.
pub(super) fn by_key(key: &[Field], set: &str, to: Option<Target>) -> Vec<Expression> {
    let mut expressions = families(key);
    load(key, 0, &mut expressions);
    expressions.push(Expression::Lookup { set: set.to_owned(), to });
    expressions
}

/// Go where a map of verdicts says.
pub(super) fn choose(key: &[Field], map: &str) -> Vec<Expression> {
    by_key(key, map, Some(Target::Verdict))
}

/// Add an element.
pub(super) fn learn(map: &str, key: &[Field], data: &[Field], seconds: u32) -> Vec<Expression> {
    let mut expressions = families(key);
    let behind = load(key, 0, &mut expressions);
    load(data, behind, &mut expressions);
    let data = Register::Word(behind);
    expressions.push(Expression::Learn { map: map.to_owned(), data, seconds });
    expressions
}

/// A table of family inet sees both protocols: before a header is read it must be of one.
fn families(key: &[Field]) -> Vec<Expression> {
    let first = key.iter().find_map(|field| match field {
        Field::Address(family, _) => Some(*family),
        Field::Hash { of, .. } => of.iter().find_map(|field| match field {
            Field::Address(family, _) => Some(*family),
            _ => None,
        }),
        _ => None,
    });
    first.map_or(Vec::new(), |family| by_family(family).to_vec())
}

/// Load fields from a word on; the word behind them.
fn load(fields: &[Field], from: u32, expressions: &mut Vec<Expression>) -> u32 {
    fields.iter().fold(from, |word, field| {
        load_one(field, word, expressions);
        word + field.words()
    })
}

fn load_one(field: &Field, word: u32, expressions: &mut Vec<Expression>) {
    let to = Register::Word(word);
    let connection =
        |key, direction| Expression::Connection { to, key, direction: Some(direction) };
    let expression = match field {
        Field::Address(family, side) => {
            let offset = address_offset(*family, *side);
            Expression::Payload { to, base: NETWORK, offset, length: field.bytes() }
        }
        Field::Protocol => Expression::Meta(to, L4PROTO),
        Field::Port(side) => {
            Expression::Payload { to, base: TRANSPORT, offset: port_offset(*side), length: 2 }
        }
        Field::Original(family, side) => connection(address_key(*family, *side), ORIGINAL),
        Field::OriginalPort(side) => connection(port_key(*side), ORIGINAL),
        Field::Reply(family, side) => connection(address_key(*family, *side), REPLY),
        Field::ReplyPort(side) => connection(port_key(*side), REPLY),
        Field::Turn(modulus) => Expression::Number { to, modulus: *modulus, random: false },
        Field::Chance(modulus) => Expression::Number { to, modulus: *modulus, random: true },
        Field::Hash { of, modulus, seed } => {
            let behind = load(of, SCRATCH, expressions);
            let (from, length) = (Register::Word(SCRATCH), (behind - SCRATCH) * 4);
            Expression::Hash { from, length, to, modulus: *modulus, seed: *seed }
        }
    };
    expressions.push(expression);
}

fn address_key(family: Family, side: Side) -> u32 {
    match (family, side) {
        (Family::Ipv4, Side::Source) => SOURCE4,
        (Family::Ipv4, Side::Destination) => DESTINATION4,
        (Family::Ipv6, Side::Source) => SOURCE6,
        (Family::Ipv6, Side::Destination) => DESTINATION6,
    }
}

fn port_key(side: Side) -> u32 {
    match side {
        Side::Source => PORT_SOURCE,
        Side::Destination => PORT_DESTINATION,
    }
}
