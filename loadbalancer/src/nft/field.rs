//! What the keys and the data of maps are made of.
//!
//! Invariant: a field has one length, whatever its value: the kernel compares keys as bytes, in
//! words of four. How a field is declared is told to nft(8) by the same name, so that what it lists
//! can be loaded again.

use std::fmt::{Display, Formatter, Result};

use super::{Family, Side};

/// One part of a key or of data. Some are read from a packet, some are worked out for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `ip saddr` and its like.
    Address(Family, Side),
    /// `meta l4proto`.
    Protocol,
    /// `th dport` and its like: TCP's or UDP's, which have it at the same place.
    Port(Side),
    /// `ct original ip daddr` and its like: before anything was rewritten.
    Original(Family, Side),
    /// `ct original proto-dst` and its like. The rule must have found the protocol to be one.
    OriginalPort(Side),
    /// `ct reply ip saddr` and its like: of the answer, so its source is where a connection was
    /// sent.
    Reply(Family, Side),
    /// `ct reply proto-src` and its like. The rule must have found the protocol to be one.
    ReplyPort(Side),
    /// `numgen inc mod N`: each packet gets the next number, the rule counts.
    Turn(u32),
    /// `numgen random mod N`.
    Chance(u32),
    /// `jhash … mod N`: packets that are alike in these fields get the same number.
    Hash {
        /// What is hashed, as one row of bytes.
        of: Vec<Field>,
        /// How many numbers there are.
        modulus: u32,
        /// Sets one use apart from another.
        seed: u32,
    },
}

impl Field {
    /// Words of four bytes.
    pub(super) fn words(&self) -> u32 {
        match self.family() {
            Some(Family::Ipv6) => 4,
            _ => 1,
        }
    }

    /// Bytes that are filled.
    pub(super) fn bytes(&self) -> u32 {
        match self {
            Field::Protocol => 1,
            Field::Port(_) | Field::OriginalPort(_) | Field::ReplyPort(_) => 2,
            _ => self.words() * 4,
        }
    }

    fn family(&self) -> Option<Family> {
        match self {
            Field::Address(family, _) | Field::Original(family, _) | Field::Reply(family, _) => {
                Some(*family)
            }
            _ => None,
        }
    }

    /// The number of its type in nft(8) (enum datatypes), which it takes the type of a listing from.
    pub(super) fn datatype(&self) -> u32 {
        match self {
            Field::Protocol => 12,
            Field::Port(_) | Field::OriginalPort(_) | Field::ReplyPort(_) => 13,
            Field::Turn(_) | Field::Chance(_) | Field::Hash { .. } => 4,
            _ if self.family() == Some(Family::Ipv6) => 8,
            _ => 7,
        }
    }

    /// What nft(8) keeps with a set to list it as `typeof`: rows of a type, a length and bytes.
    /// A declaration has no other fields than these.
    pub(super) fn described(&self) -> Vec<u8> {
        /// NFTNL_UDATA_SET_TYPEOF_EXPR, NFTNL_UDATA_SET_TYPEOF_DATA.
        const EXPRESSION: u8 = 0;
        const DATA: u8 = 1;
        // Kinds of expressions (enum expr_types), headers (enum proto_desc_id), and places within
        // them (enum ip_hdr_fields and its like), as nft(8) 0.9.4 and later count them.
        let (expression, numbers): (u32, &[u32]) = match self {
            Field::Address(Family::Ipv4, Side::Source) => (7, &[12, 11]),
            Field::Address(Family::Ipv4, Side::Destination) => (7, &[12, 12]),
            Field::Address(Family::Ipv6, Side::Source) => (7, &[13, 8]),
            Field::Address(Family::Ipv6, Side::Destination) => (7, &[13, 9]),
            Field::Port(Side::Source) => (7, &[11, 1]),
            Field::Port(Side::Destination) => (7, &[11, 2]),
            Field::Turn(modulus) => (23, &[0, *modulus, 0]),
            _ => (9, &[16]),
        };
        let numbers: Vec<u8> = numbers
            .iter()
            .zip(0..)
            .flat_map(|(number, index)| row(index, &number.to_ne_bytes()))
            .collect();
        [row(EXPRESSION, &expression.to_ne_bytes()), row(DATA, &numbers)].concat()
    }
}

/// The same of several fields in a row.
pub(super) fn described(fields: &[Field]) -> Vec<u8> {
    /// EXPR_CONCAT.
    const ROW: u32 = 13;
    if let [field] = fields {
        return field.described();
    }
    let each = fields.iter().zip(0..).flat_map(|(field, index)| row(index, &field.described()));
    [row(0, &ROW.to_ne_bytes()), row(1, &each.collect::<Vec<_>>())].concat()
}

/// A type, a length, bytes.
pub(super) fn row(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind, bytes.len() as u8], bytes].concat()
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let protocol = |family: &Family| match family {
            Family::Ipv4 => "ip",
            Family::Ipv6 => "ip6",
        };
        let end = |side: &Side| match side {
            Side::Source => "src",
            Side::Destination => "dst",
        };
        match self {
            Field::Address(family, side) => write!(f, "{} {side}addr", protocol(family)),
            Field::Protocol => f.write_str("meta l4proto"),
            Field::Port(side) => write!(f, "th {side}port"),
            Field::Original(family, side) => {
                write!(f, "ct original {} {side}addr", protocol(family))
            }
            Field::OriginalPort(side) => write!(f, "ct original proto-{}", end(side)),
            Field::Reply(family, side) => write!(f, "ct reply {} {side}addr", protocol(family)),
            Field::ReplyPort(side) => write!(f, "ct reply proto-{}", end(side)),
            Field::Turn(modulus) => write!(f, "numgen inc mod {modulus}"),
            Field::Chance(modulus) => write!(f, "numgen random mod {modulus}"),
            Field::Hash { of, modulus, seed } => {
                write!(f, "jhash {} mod {modulus} seed {seed:#x}", Row(of))
            }
        }
    }
}

/// Parts of a key as nft(8) writes them: with points between.
pub(super) struct Row<'a, T>(pub(super) &'a [T]);

impl<T: Display> Display for Row<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (index, part) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { " . " } else { "" })?;
            part.fmt(f)?;
        }
        Ok(())
    }
}
