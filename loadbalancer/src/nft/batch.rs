//! Several changes as one: a batch of nfnetlink messages.
//!
//! Invariant: a batch is one sendmsg(2), and the kernel does all of it or nothing.

use super::encode::{Attributes, INET, NETDEV, message};
use super::field::row;
use super::lower::lower;
use super::set::bytes;
use super::{
    Base, Chain, Content, Datum, Element, Field, Hook, Kind, Owner, Policy, Rule, Set, Sight, Table,
};

/// NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND (netlink(7)).
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
/// NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END.
const BEGIN: u16 = 16;
const END: u16 = 17;
/// NFNL_SUBSYS_NFTABLES: the upper byte of its messages' types.
const NFTABLES: u16 = 10;
/// NFT_MSG_NEWTABLE and its like.
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;
/// Elements of one message: its list must stay below 64 KiB (nlattr's length), and no element
/// takes more than 100 bytes beside the name of a chain.
const ELEMENTS: usize = 256;

#[derive(Debug)]
struct Change {
    family: u8,
    kind: u16,
    flags: u16,
    attributes: Attributes,
    object: String,
}

/// Changes in their order.
#[derive(Debug, Default)]
pub struct Batch(Vec<Change>);

/// A batch as bytes, and what each of its messages is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The datagram for a netlink socket of family NETLINK_NETFILTER. Its last change asks for an
    /// acknowledgement.
    pub bytes: Vec<u8>,
    objects: Vec<String>,
}

impl Encoded {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The object a refusal's sequence number means.
    pub fn object(&self, sequence: u32) -> &str {
        let index = (sequence as usize).checked_sub(1);
        index.and_then(|index| self.objects.get(index)).map_or("the batch", String::as_str)
    }
}

impl Batch {
    /// Add a table with its chains and rules. One of that name must not be there (`EEXIST`).
    #[must_use]
    pub fn create(mut self, table: &Table) -> Batch {
        self.push(
            family(table),
            NEW_TABLE,
            CREATE | EXCLUSIVE,
            format!("table {}", table.name),
            |attributes| {
                attributes.string(1, &table.name);
                if table.owner != Owner::Nobody {
                    attributes.number(2, owner_flags(table.owner));
                }
                if let Some(comment) = &table.comment {
                    // NFTNL_UDATA_TABLE_COMMENT.
                    attributes.bytes(6, &row(0, &[comment.as_bytes(), &[0]].concat()));
                }
            },
        );
        for (set, id) in table.sets.iter().zip(1..) {
            self.add_set(table, set, id);
        }
        for chain in &table.chains {
            self.add_chain(table, chain);
        }
        for chain in &table.chains {
            for rule in &chain.rules {
                self.add_rule(table, chain, rule);
            }
        }
        self
    }

    /// Delete the table of this name (`inet`) with all that is in it; none there is no error.
    #[must_use]
    pub fn delete(mut self, name: &str) -> Batch {
        // Made first if it is missing, or deleting it would fail.
        for (kind, flags) in [(NEW_TABLE, CREATE), (DELETE_TABLE, 0)] {
            let object = format!("table {name}");
            self.push(INET, kind, flags, object, |attributes| attributes.string(1, name));
        }
        self
    }

    /// Become the owner of a table (`inet`) of [`Owner::Successive`] that nobody owns now. None of
    /// that name is made, empty; one that has another owner is an error (`EPERM`).
    #[must_use]
    pub fn take(mut self, name: &str) -> Batch {
        self.push(INET, NEW_TABLE, CREATE, format!("table {name}"), |attributes| {
            attributes.string(1, name);
            attributes.number(2, owner_flags(Owner::Successive));
        });
        self
    }

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

    /// The batch as bytes.
    pub fn encode(&self) -> Encoded {
        let none = Attributes::default();
        let mut bytes = Vec::new();
        message(&mut bytes, BEGIN, REQUEST, 0, (0, NFTABLES), &none);
        for (change, sequence) in self.0.iter().zip(1_u32..) {
            let last = sequence as usize == self.0.len();
            let flags = REQUEST | change.flags | if last { ACK } else { 0 };
            let kind = NFTABLES << 8 | change.kind;
            message(&mut bytes, kind, flags, sequence, (change.family, 0), &change.attributes);
        }
        message(&mut bytes, END, REQUEST, 0, (0, NFTABLES), &none);
        let objects = self.0.iter().map(|change| change.object.clone()).collect();
        Encoded { bytes, objects }
    }

    fn add_set(&mut self, table: &Table, set: &Set, id: u32) {
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

    fn add_chain(&mut self, table: &Table, chain: &Chain) {
        let object = format!("chain {} of table {}", chain.name, table.name);
        self.push(family(table), NEW_CHAIN, CREATE, object, |attributes| {
            attributes.string(1, &table.name);
            attributes.string(3, &chain.name);
            if let Some(base) = &chain.base {
                attributes.nest(4, |hook| {
                    hook.number(1, hook_number(base)).number(2, base.priority as u32);
                    if let Hook::Ingress(device) = &base.hook {
                        hook.string(3, device);
                    }
                });
                attributes.number(
                    5,
                    match base.policy {
                        Policy::Drop => 0,
                        Policy::Accept => 1,
                    },
                );
                attributes.string(
                    7,
                    match base.kind {
                        Kind::Filter => "filter",
                        Kind::Nat => "nat",
                    },
                );
            }
        });
    }

    fn add_rule(&mut self, table: &Table, chain: &Chain, rule: &Rule) {
        let object = format!("rule `{rule}` of chain {} of table {}", chain.name, table.name);
        self.push(family(table), NEW_RULE, CREATE | APPEND, object, |attributes| {
            attributes.string(1, &table.name);
            attributes.string(2, &chain.name);
            attributes.nest(4, |list| {
                for expression in rule.0.iter().flat_map(lower) {
                    list.nest(1, |element| expression.encode(element));
                }
            });
        });
    }

    fn push(
        &mut self,
        family: u8,
        kind: u16,
        flags: u16,
        object: String,
        fill: impl FnOnce(&mut Attributes),
    ) {
        let mut attributes = Attributes::default();
        fill(&mut attributes);
        self.0.push(Change { family, kind, flags, attributes, object });
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

/// NFT_TABLE_F_OWNER, NFT_TABLE_F_PERSIST.
fn owner_flags(owner: Owner) -> u32 {
    match owner {
        Owner::Nobody => 0,
        Owner::Socket => 1 << 1,
        Owner::Successive => 1 << 1 | 1 << 2,
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

fn family(table: &Table) -> u8 {
    match table.sight {
        Sight::Inet => INET,
        Sight::Netdev => NETDEV,
    }
}

/// NF_INET_*, NF_NETDEV_INGRESS (linux/netfilter.h).
fn hook_number(base: &Base) -> u32 {
    match base.hook {
        Hook::Prerouting | Hook::Ingress(_) => 0,
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
        Hook::Postrouting => 4,
    }
}
