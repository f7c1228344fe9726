//! Sets and their elements as messages of a batch.
//!
//! Invariant: no attribute is longer than its length can say (64 KiB), however many elements there
//! are.

use super::batch::{CREATE, family};
use super::set::bytes;
use super::{Batch, Content, Datum, Element, Field, Set, Table};
use crate::netlink::{Attributes, INET};

/// NFT_MSG_NEWSET and its like.
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;
/// Elements of one message: none takes more than 100 bytes beside the name of a chain.
const ELEMENTS: usize = 256;

impl Batch {
    /// Add elements to sets of a table (`inet`) that is there, in this order. One that is there
    /// with other data is an error (`EEXIST`): it is to be removed first, in the same batch.
    #[must_use]
    pub fn add<'a>(self, table: &str, elements: impl IntoIterator<Item = &'a Element>) -> Batch {
        self.elements(table, NEW_ELEMENT, CREATE, elements)
    }

    /// Remove elements from sets of a table (`inet`). One that is not there is an error
    /// (`ENOENT`).
    #[must_use]
    pub fn remove<'a>(self, table: &str, elements: impl IntoIterator<Item = &'a Element>) -> Batch {
        self.elements(table, DELETE_ELEMENT, 0, elements)
    }

    pub(super) fn add_set(&mut self, table: &Table, set: &Set, id: u32) {
        let object = format!("set {} of table {}", set.name, table.name);
        self.push(family(table), NEW_SET, CREATE, object, |attributes| {
            attributes.string(1, &table.name);
            attributes.string(2, &set.name);
            let (_, flags) = (attributes.number(10, id), set_flags(set));
            attributes.number(3, flags);
            let (kind, length) = declared(&set.key);
            attributes.number(4, kind).number(5, length);
            match &set.content {
                Content::Nothing => {}
                // NFT_DATA_VERDICT; the kernel knows how long one is.
                Content::Verdict => _ = attributes.number(6, 0xffff_ff00).number(7, 0),
                Content::Data(fields) => {
                    let (kind, length) = declared(fields);
                    attributes.number(6, kind).number(7, length);
                }
            }
            if let Some(size) = set.learnt {
                attributes.nest(9, |description| _ = description.number(1, size));
            }
            attributes.bytes(13, &set.user_data());
        });
    }

    fn elements<'a>(
        mut self,
        table: &str,
        kind: u16,
        flags: u16,
        elements: impl IntoIterator<Item = &'a Element>,
    ) -> Batch {
        let mut elements = elements.into_iter().peekable();
        while let Some(first) = elements.next() {
            let name = &first.set;
            let mut list = Attributes::default();
            let add = |list: &mut Attributes, element: &Element| {
                list.nest(1, |attributes| encode_element(attributes, element));
            };
            add(&mut list, first);
            let mut others = 0;
            while others + 1 < ELEMENTS
                && let Some(next) = elements.next_if(|element| element.set == *name)
            {
                add(&mut list, next);
                others += 1;
            }
            let more = if others > 0 { format!(" and {others} more") } else { String::new() };
            let object = format!("element `{first}`{more} of set {name} of table {table}");
            self.push(INET, kind, flags, object, |attributes| {
                attributes.string(1, table);
                attributes.string(2, name);
                attributes.row(3, list);
            });
        }
        self
    }
}

fn encode_element(attributes: &mut Attributes, element: &Element) {
    /// NFTA_DATA_VALUE, NFTA_DATA_VERDICT, NFT_GOTO.
    const VALUE: u16 = 1;
    const VERDICT: u16 = 2;
    const GOTO: i32 = -4;
    attributes.nest(1, |key| key.bytes(VALUE, &bytes(&element.key)));
    match &element.data {
        Datum::Nothing => {}
        Datum::Data(values) => attributes.nest(2, |data| data.bytes(VALUE, &bytes(values))),
        Datum::Goto(chain) => attributes.nest(2, |data| {
            data.nest(VERDICT, |verdict| {
                verdict.number(1, GOTO as u32).string(2, chain);
            });
        }),
    }
}

/// NFT_SET_MAP, NFT_SET_TIMEOUT, NFT_SET_EVAL.
fn set_flags(set: &Set) -> u32 {
    let map = if set.content == Content::Nothing { 0 } else { 1 << 3 };
    let learnt = if set.learnt.is_some() { 1 << 4 | 1 << 5 } else { 0 };
    map | learnt
}

/// A row of fields as a type of nft(8)'s, six bits each, and its bytes.
fn declared(fields: &[Field]) -> (u32, u32) {
    let kind = fields.iter().fold(0, |kind, field| kind << 6 | field.datatype());
    let length = match fields {
        [field] => field.bytes(),
        _ => fields.iter().map(|field| field.words() * 4).sum(),
    };
    (kind, length)
}
