//! What the kernel has: requests, and what their answers say.
//!
//! Invariant: no byte outside an answer is read, whatever lengths it claims; what is not understood
//! is no element of ours.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Content, Datum, Element, Family, Field, Set, Transport, Value};
use crate::netlink::{ACK, Attributes, DUMP, INET, REQUEST, attribute, attributes, message};

/// NFNL_SUBSYS_NFTABLES, and NFT_MSG_GETTABLE and its like.
const NFTABLES: u16 = 10;
const GET_TABLE: u16 = 1;
const GET_ELEMENT: u16 = 13;
const GET_GENERATION: u16 = 16;
/// Size of nfgenmsg.
const HEADER: usize = 4;
/// NFT_GOTO.
const GOTO: i32 = -4;

/// A table that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// A number that no other table has or had in this network namespace.
    pub handle: u64,
    /// What is said about it.
    pub comment: Option<String>,
}

/// Ask how often the tables have changed. One answer, and an acknowledgement.
pub fn generation_request() -> Vec<u8> {
    request(GET_GENERATION, ACK, &Attributes::default())
}

/// The number in an answer's body: one more for every batch of anybody's.
pub fn generation(body: &[u8]) -> Option<u32> {
    attribute(body.get(HEADER..)?, 1)?.try_into().ok().map(u32::from_be_bytes)
}

/// Ask for the table of this name (`inet`). One answer, and an acknowledgement; `ENOENT` when
/// there is none.
pub fn table_request(name: &str) -> Vec<u8> {
    let mut attributes = Attributes::default();
    attributes.string(1, name);
    request(GET_TABLE, ACK, &attributes)
}

/// The table in an answer's body.
pub fn table(body: &[u8]) -> Option<Present> {
    let body = body.get(HEADER..)?;
    let handle = u64::from_be_bytes(attribute(body, 4)?.try_into().ok()?);
    // NFTNL_UDATA_TABLE_COMMENT: a type, a length, a string that ends with a zero.
    let comment = attribute(body, 6).and_then(|user| match user {
        [0, _, text @ .., 0] => String::from_utf8(text.to_vec()).ok(),
        _ => None,
    });
    Some(Present { handle, comment })
}

/// Ask for what is in a set of a table (`inet`): a dump, in as many messages as it takes.
pub fn elements_request(table: &str, set: &str) -> Vec<u8> {
    let mut attributes = Attributes::default();
    attributes.string(1, table);
    attributes.string(2, set);
    request(GET_ELEMENT, DUMP, &attributes)
}

/// The elements in one message's body.
pub fn elements(set: &Set, body: &[u8]) -> Vec<Element> {
    let list = body.get(HEADER..).and_then(|body| attribute(body, 3)).unwrap_or_default();
    attributes(list).filter_map(|(_, one)| element(set, one)).collect()
}

fn element(set: &Set, bytes: &[u8]) -> Option<Element> {
    let key = values(&set.key, attribute(attribute(bytes, 1)?, 1)?)?;
    let data = || attribute(bytes, 2);
    let data = match &set.content {
        Content::Nothing => Datum::Nothing,
        Content::Data(fields) => Datum::Data(values(fields, attribute(data()?, 1)?)?),
        Content::Verdict => {
            let verdict = attribute(data()?, 2)?;
            let code = attribute(verdict, 1)?.try_into().ok().map(i32::from_be_bytes)?;
            let chain = attribute(verdict, 2)?.strip_suffix(&[0])?;
            let chain = String::from_utf8(chain.to_vec()).ok().filter(|_| code == GOTO)?;
            Datum::Goto(chain.into())
        }
    };
    Some(Element { set: set.name.clone().into(), key, data })
}

fn values(fields: &[Field], mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::with_capacity(fields.len());
    for field in fields {
        let (word, rest) = bytes.split_at_checked(field.words() as usize * 4)?;
        values.push(value(field, word)?);
        bytes = rest;
    }
    bytes.is_empty().then_some(values)
}

fn value(field: &Field, word: &[u8]) -> Option<Value> {
    let array = || <[u8; 4]>::try_from(word).ok();
    Some(match field {
        Field::Address(Family::Ipv4, _) => Value::Address(Ipv4Addr::from(array()?).into()),
        Field::Address(Family::Ipv6, _) => {
            Value::Address(Ipv6Addr::from(<[u8; 16]>::try_from(word).ok()?).into())
        }
        Field::Protocol => Value::Protocol(Transport::of(word[0])?),
        Field::Port(_) => Value::Port(u16::from_be_bytes([word[0], word[1]])),
        _ => Value::Number(u32::from_ne_bytes(array()?)),
    })
}

fn request(kind: u16, flags: u16, attributes: &Attributes) -> Vec<u8> {
    let mut bytes = Vec::new();
    message(&mut bytes, NFTABLES << 8 | kind, REQUEST | flags, 1, (INET, 0), attributes);
    bytes
}
