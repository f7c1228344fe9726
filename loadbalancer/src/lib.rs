//! Names, balancing policies, the ruleset and the HTTP front. Only [`nft`] and its charter yet.
//!
//! Will own: the registry of names and backends, policies (built in and as plugins), the nftables
//! ruleset as a pure value with its diff and its one writer, hooks with their schedules, and the
//! HTTP front. Invariant: a dead policy or a dead daemon leaves the last good table in force.
//! Never starts an app, never reads a manifest file: the daemon composes it, and its one
//! dependency inside the workspace is `manifest-spec`.

#![forbid(unsafe_code)]

pub mod nft;
