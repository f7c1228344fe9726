//! Sets, maps, and what is in them.

use std::borrow::Cow;
use std::fmt::{Display, Formatter, Result};
use std::net::IpAddr;

use super::field::{Row, described, row};
use super::{Field, Transport};

/// A set of keys, or a map from keys to something. Its elements are no part of it: they come and
/// go, and it stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name, unique in the table.
    pub name: String,
    /// What a key is made of.
    pub key: Vec<Field>,
    /// What a key leads to.
    pub content: Content,
    /// Packets add elements, at most so many, each for a time; `None`: only batches do.
    pub learnt: Option<u32>,
}

/// What the keys of a set lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing: it is a set.
    Nothing,
    /// A chain.
    Verdict,
    /// Data of these fields.
    Data(Vec<Field>),
}

/// An element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    /// The set it is in.
    pub set: Cow<'static, str>,
    /// Its key, part by part.
    pub key: Vec<Value>,
    /// Where it leads.
    pub data: Datum,
}

/// Where an element leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datum {
    /// Nowhere: it is one of a set.
    Nothing,
    /// `goto`: to a chain, without a way back.
    Goto(Cow<'static, str>),
    /// To data, part by part.
    Data(Vec<Value>),
}

/// A part of a key or of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// For [`Field::Address`].
    Address(IpAddr),
    /// For [`Field::Protocol`].
    Protocol(Transport),
    /// For [`Field::Port`].
    Port(u16),
    /// For [`Field::Turn`] and what else gives a number.
    Number(u32),
}

impl Value {
    /// As it stands in a register: whole words.
    fn words(self, bytes: &mut Vec<u8>) {
        match self {
            Value::Address(IpAddr::V4(address)) => bytes.extend(address.octets()),
            Value::Address(IpAddr::V6(address)) => bytes.extend(address.octets()),
            Value::Protocol(transport) => bytes.extend([transport.number(), 0, 0, 0]),
            Value::Port(port) => bytes.extend([port.to_be_bytes(), [0; 2]].concat()),
            Value::Number(number) => bytes.extend(number.to_ne_bytes()),
        }
    }
}

/// A key or data as bytes.
pub(super) fn bytes(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() * 4);
    values.iter().for_each(|value| value.words(&mut bytes));
    bytes
}

impl Set {
    /// What nft(8) keeps with it in order to list it (NFTNL_UDATA_SET_*).
    pub(super) fn user_data(&self) -> Vec<u8> {
        const KEY_ORDER: u8 = 0;
        const DATA_ORDER: u8 = 1;
        const KEY: u8 = 3;
        const DATA: u8 = 4;
        const INTERVAL: u8 = 6;
        /// BYTEORDER_INVALID, which rows have, and BYTEORDER_BIG_ENDIAN, which addresses have.
        const MIXED: u32 = 0;
        const BIG: u32 = 2;
        let order = if self.key.len() == 1 { BIG } else { MIXED };
        let key = row(KEY, &described(&self.key));
        let data = match &self.content {
            Content::Nothing => return [row(KEY_ORDER, &order.to_ne_bytes()), key].concat(),
            // EXPR_VERDICT, and nothing more about it.
            Content::Verdict => [row(0, &1_u32.to_ne_bytes()), row(1, &[])].concat(),
            Content::Data(fields) => described(fields),
        };
        [
            row(KEY_ORDER, &order.to_ne_bytes()),
            row(DATA_ORDER, &MIXED.to_ne_bytes()),
            key,
            row(DATA, &data),
            row(INTERVAL, &0_u32.to_ne_bytes()),
        ]
        .concat()
    }
}

impl Display for Set {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let word = if self.content == Content::Nothing { "set" } else { "map" };
        writeln!(f, "\t{word} {} {{", self.name)?;
        write!(f, "\t\ttypeof {}", Row(&self.key))?;
        match &self.content {
            Content::Nothing => writeln!(f)?,
            Content::Verdict => writeln!(f, " : verdict")?,
            Content::Data(fields) => writeln!(f, " : {}", Row(fields))?,
        }
        if let Some(size) = self.learnt {
            writeln!(f, "\t\tsize {size}\n\t\tflags dynamic,timeout")?;
        }
        writeln!(f, "\t}}")
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Row(&self.key).fmt(f)?;
        match &self.data {
            Datum::Nothing => Ok(()),
            Datum::Goto(chain) => write!(f, " : goto {chain}"),
            Datum::Data(values) => write!(f, " : {}", Row(values)),
        }
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Value::Address(address) => address.fmt(f),
            Value::Protocol(transport) => transport.fmt(f),
            Value::Port(port) => port.fmt(f),
            Value::Number(number) => number.fmt(f),
        }
    }
}
