//! Statements as expressions of the kernel.
//!
//! Invariant: before a header of one protocol is read, the packet was found to be of it: a table
//! of family inet sees both.

use std::net::IpAddr;

use super::expression::{Expression, Register, Target};
use super::lookup::{by_key, choose, learn};
use super::{Device, Family, Network, Rejection, Relation, Side, State, Statement, Transport};

/// Verdicts (linux/netfilter.h, linux/netfilter/nf_tables.h).
const DROP: i32 = 0;
const ACCEPT: i32 = 1;
const JUMP: i32 = -3;
const GOTO: i32 = -4;
const RETURN: i32 = -5;
/// NFT_META_*.
const IIFNAME: u32 = 6;
const OIFNAME: u32 = 7;
pub(super) const NFPROTO: u32 = 15;
pub(super) const L4PROTO: u32 = 16;
const PKTTYPE: u32 = 19;
/// packet(7).
const PACKET_HOST: u8 = 0;
/// NFT_PAYLOAD_*_HEADER.
pub(super) const NETWORK: u32 = 1;
pub(super) const TRANSPORT: u32 = 2;
/// NFT_CT_*, and the bit of IPS_DST_NAT.
const STATE: u32 = 0;
const STATUS: u32 = 2;
const DESTINATION_REWRITTEN: u32 = 1 << 5;
/// RTN_LOCAL (rtnetlink(7)).
const LOCAL: u32 = 2;
/// Bytes of a device's name in the kernel (IFNAMSIZ).
const NAME: usize = 16;

/// The expressions of one statement.
pub(super) fn lower(statement: &Statement) -> Vec<Expression> {
    match statement {
        Statement::Device(side, relation, device) => by_device(*side, *relation, device),
        Statement::Family(family) => by_family(*family).into(),
        Statement::Transport(transport) => by_transport(*transport).into(),
        Statement::Address(side, relation, network) => by_address(*side, *relation, *network),
        Statement::Port(transport, side, port) => by_port(*transport, *side, *port),
        Statement::Local(side) => {
            let flag = match side {
                Side::Source => 1,
                Side::Destination => 2,
            };
            vec![Expression::AddressType(flag), equal(LOCAL.to_ne_bytes())]
        }
        Statement::State(states) => {
            let bits = states.iter().fold(0, |bits, state| bits | bit(*state));
            any_bit(connection(STATE), bits)
        }
        Statement::Redirected => any_bit(connection(STATUS), DESTINATION_REWRITTEN),
        Statement::Member(key, set) => by_key(key, set, None),
        Statement::Choose(key, map) => choose(key, map),
        Statement::ForHost => vec![
            Expression::Immediate(Register::One, vec![PACKET_HOST]),
            Expression::SetMeta(PKTTYPE),
        ],
        Statement::Counter => vec![Expression::Counter],
        Statement::Dnat(to) => {
            let port = to.port().to_be_bytes().to_vec();
            let family = number(Family::of(to.ip()));
            let nat = Expression::Nat { kind: 1, family, port: Some(Register::Two) };
            let address = Expression::Immediate(Register::One, octets(to.ip()));
            vec![address, Expression::Immediate(Register::Two, port), nat]
        }
        Statement::DnatBy(family, key, map) => {
            let mut expressions = by_key(key, map, Some(Target::First));
            let port = Register::Word(if *family == Family::Ipv4 { 1 } else { 4 });
            expressions.push(Expression::Nat {
                kind: 1,
                family: number(*family),
                port: Some(port),
            });
            expressions
        }
        Statement::Learn { map, key, data, seconds } => learn(map, key, data, *seconds),
        Statement::Snat(to) => {
            let nat = Expression::Nat { kind: 0, family: number(Family::of(*to)), port: None };
            vec![Expression::Immediate(Register::One, octets(*to)), nat]
        }
        Statement::Masquerade => vec![Expression::Masquerade],
        Statement::Accept => vec![Expression::Verdict(ACCEPT, None)],
        Statement::Drop => vec![Expression::Verdict(DROP, None)],
        Statement::Return => vec![Expression::Verdict(RETURN, None)],
        Statement::Jump(chain) => vec![Expression::Verdict(JUMP, Some(chain.clone()))],
        Statement::Goto(chain) => vec![Expression::Verdict(GOTO, Some(chain.clone()))],
        // NFT_REJECT_TCP_RST; NFT_REJECT_ICMPX_UNREACH with NFT_REJECT_ICMPX_PORT_UNREACH.
        Statement::Reject(Rejection::Reset) => vec![Expression::Reject { kind: 1, code: 0 }],
        Statement::Reject(Rejection::Unreachable) => vec![Expression::Reject { kind: 2, code: 1 }],
    }
}

fn by_device(side: Side, relation: Relation, device: &Device) -> Vec<Expression> {
    let key = match side {
        Side::Source => IIFNAME,
        Side::Destination => OIFNAME,
    };
    let value = match device {
        Device::Named(name) => {
            // With the zeros behind it: a name that goes on is another.
            let mut value = name.as_bytes().to_vec();
            value.resize(NAME, 0);
            value
        }
        Device::Beginning(name) => name.as_bytes().to_vec(),
    };
    vec![meta(key), compare(relation, value)]
}

pub(super) fn by_family(family: Family) -> [Expression; 2] {
    [meta(NFPROTO), equal([number(family) as u8])]
}

fn by_transport(transport: Transport) -> [Expression; 2] {
    [meta(L4PROTO), equal([transport.number()])]
}

fn meta(key: u32) -> Expression {
    Expression::Meta(Register::One, key)
}

fn connection(key: u32) -> Expression {
    Expression::Connection { to: Register::One, key, direction: None }
}

fn by_address(side: Side, relation: Relation, network: Network) -> Vec<Expression> {
    let offset = address_offset(Family::of(network.address), side);
    let mut value = octets(network.address);
    let mask = mask(value.len(), network.prefix);
    value.iter_mut().zip(&mask).for_each(|(byte, mask)| *byte &= mask);
    // Whole bytes need no mask (none at all do), and nft(8) then reads the rule as it was meant.
    let whole = network.prefix > 0 && network.prefix.is_multiple_of(8);
    if whole {
        value.truncate(usize::from(network.prefix / 8));
    }
    let length = value.len() as u32;
    let mut expressions = by_family(Family::of(network.address)).to_vec();
    expressions.push(Expression::Payload { to: Register::One, base: NETWORK, offset, length });
    if !whole {
        expressions.push(Expression::Mask(mask));
    }
    expressions.push(compare(relation, value));
    expressions
}

/// The first bits set, `prefix` of them, in so many bytes.
fn mask(bytes: usize, prefix: u8) -> Vec<u8> {
    let set = |index: usize| usize::from(prefix).saturating_sub(index * 8).min(8);
    (0..bytes).map(|index| !(0xff_u16 >> set(index)) as u8).collect()
}

fn by_port(transport: Transport, side: Side, port: u16) -> Vec<Expression> {
    let offset = port_offset(side);
    let header = Expression::Payload { to: Register::One, base: TRANSPORT, offset, length: 2 };
    let mut expressions = by_transport(transport).to_vec();
    expressions.extend([header, equal(port.to_be_bytes())]);
    expressions
}

/// Where an address stands in its header (RFC 791, RFC 8200).
pub(super) fn address_offset(family: Family, side: Side) -> u32 {
    match (family, side) {
        (Family::Ipv4, Side::Source) => 12,
        (Family::Ipv4, Side::Destination) => 16,
        (Family::Ipv6, Side::Source) => 8,
        (Family::Ipv6, Side::Destination) => 24,
    }
}

/// Where a port stands in its header (RFC 9293, RFC 768).
pub(super) fn port_offset(side: Side) -> u32 {
    match side {
        Side::Source => 0,
        Side::Destination => 2,
    }
}

/// Whether one of these bits is set in what `load` loads.
fn any_bit(load: Expression, bits: u32) -> Vec<Expression> {
    let mask = Expression::Mask(bits.to_ne_bytes().to_vec());
    vec![load, mask, compare(Relation::Not, vec![0; 4])]
}

fn equal<const N: usize>(value: [u8; N]) -> Expression {
    compare(Relation::Is, value.to_vec())
}

fn compare(relation: Relation, value: Vec<u8>) -> Expression {
    Expression::Compare { equal: relation == Relation::Is, value }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// NFPROTO_IPV4, NFPROTO_IPV6.
fn number(family: Family) -> u32 {
    match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    }
}

/// NF_CT_STATE_INVALID_BIT, NF_CT_STATE_BIT.
fn bit(state: State) -> u32 {
    match state {
        State::Invalid => 1,
        State::Established => 1 << 1,
        State::Related => 1 << 2,
        State::New => 1 << 3,
    }
}
