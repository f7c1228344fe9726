//! Names, balancing policies and the ruleset.
//!
//! Owns the registry of names and backends, the policies that are built in, the nftables ruleset as
//! a pure value with its diff, and its messages. Will own policies as plugins, hooks with their
//! schedules, and the HTTP front. Invariant: a dead policy or a dead daemon leaves the last good
//! table in force. Never starts an app, never reads a manifest file, never opens a socket: the
//! daemon composes it, and its one dependency inside the workspace is `manifest-spec`.
//!
//! ```text
//! Change ──▶ Registry ──Policy──▶ Ruleset ──Diff──▶ Writer ──nft::Batch──▶ kernel
//! ```

#![forbid(unsafe_code)]

pub mod conntrack;
mod netlink;
pub mod nft;
pub mod policy;
pub mod registry;
pub mod ruleset;
pub mod schedule;
pub mod writer;
