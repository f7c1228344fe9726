//! Tables, chains and rules.

use super::{Set, Statement};

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it sees.
    pub sight: Sight,
    /// Its name: letters, digits, `-`, `_`, `.` and `/`, at most 255 bytes.
    pub name: String,
    /// What is said about it, for whoever lists it: at most 127 bytes, no quotes.
    pub comment: Option<String>,
    /// Whom it belongs to.
    pub owner: Owner,
    /// Its sets and maps, without what is in them.
    pub sets: Vec<Set>,
    /// Its chains; one that is jumped to comes before the one that jumps.
    pub chains: Vec<Chain>,
}

/// Whom a table belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Nobody: whoever may change tables may change it.
    Nobody,
    /// The socket that makes it: the kernel lets nobody else change it, and removes it when the
    /// socket is closed (NFT_TABLE_F_OWNER, kernel 5.12).
    Socket,
    /// The socket that makes it, and when that is closed nobody, until another socket takes it
    /// over by making it again (NFT_TABLE_F_PERSIST, kernel 6.9).
    Successive,
}

/// What a table sees: its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// IPv4 and IPv6 (`inet`).
    Inet,
    /// Whatever a device receives, before anything else does (`netdev`).
    Netdev,
}

/// A chain of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name, unique in the table.
    pub name: String,
    /// Where packets enter it; `None`: only by a jump.
    pub base: Option<Base>,
    /// Its rules, in their order.
    pub rules: Vec<Rule>,
}

/// How a chain hangs in the path of packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// What it is for.
    pub kind: Kind,
    /// Where it hangs.
    pub hook: Hook,
    /// Its place among chains of the same hook: lower comes first (linux/netfilter_ipv4.h).
    pub priority: i32,
    /// What becomes of packets that no rule decided about.
    pub policy: Policy,
}

/// What a base chain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Letting through and dropping.
    Filter,
    /// Rewriting addresses: it sees the first packet of a connection only.
    Nat,
}

/// Where a packet is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// This device received it (tables of [`Sight::Netdev`] only, which have no other).
    Ingress(String),
    /// It came in, nothing is decided.
    Prerouting,
    /// It is for this host.
    Input,
    /// It goes on to another.
    Forward,
    /// This host made it.
    Output,
    /// It is about to leave.
    Postrouting,
}

/// The fate of undecided packets. Accepted here, they still meet the chains of other tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// They go on.
    Accept,
    /// They end.
    Drop,
}

/// One rule: its statements hold from left to right, the last acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule(pub Vec<Statement>);
