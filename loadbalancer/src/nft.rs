//! nftables tables as values: their text, and the netlink messages that make them.
//!
//! Owns the words of nft(8) that hostctl uses and how each is written in the kernel's protocol
//! (linux/netfilter/nf_tables.h). Invariant: the text of a value and the messages of it are the
//! same table; a batch changes all it names or nothing. Never opens a socket: who sends a batch,
//! and from which network namespace, is the caller's.
//!
//! Two levels. A [`Statement`] is what a person reads and writes in a rule; it is lowered to the
//! register machine's expressions, which only this module sees. A new match or action is a variant
//! of the first, its text, and its lowering.

mod batch;
mod expression;
mod field;
mod fill;
mod lookup;
mod lower;
mod read;
mod set;
mod statement;
mod table;
mod text;

pub use batch::{Batch, Encoded};
pub use field::Field;
pub use read::{
    Present, elements, elements_request, generation, generation_request, table, table_request,
};
pub use set::{Content, Datum, Element, Set, Value};
pub use statement::{
    Device, Family, Network, Rejection, Relation, Side, State, Statement, Transport,
};
pub use table::{Base, Chain, Hook, Kind, Owner, Policy, Rule, Sight, Table};
