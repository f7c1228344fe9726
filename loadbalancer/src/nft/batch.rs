//! Several changes as one: a batch of nfnetlink messages.
//!
//! Invariant: a batch is one sendmsg(2), and the kernel does all of it or nothing.

use super::field::row;
use super::lower::lower;
use super::{Base, Chain, Hook, Kind, Owner, Policy, Rule, Sight, Table};
use crate::netlink::{Attributes, INET, NETDEV, message};

/// NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND (netlink(7)).
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const EXCLUSIVE: u16 = 0x200;
pub(super) const CREATE: u16 = 0x400;
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

    pub(super) fn push(
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

/// NFT_TABLE_F_OWNER, NFT_TABLE_F_PERSIST.
fn owner_flags(owner: Owner) -> u32 {
    match owner {
        Owner::Nobody => 0,
        Owner::Socket => 1 << 1,
        Owner::Successive => 1 << 1 | 1 << 2,
    }
}

pub(super) fn family(table: &Table) -> u8 {
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
