//! Every format hostctl shares with other processes.
//!
//! Owns the manifest (`app.toml`), the host policy (`policy.toml`), the resolved manifest an app
//! reads, the log record and the messages of hostd's API. Invariant: the same text and the same layers give the same value or
//! the same errors, on every host. Never opens a file, never asks the host, never reads a clock;
//! no input makes it panic.
//!
//! | module | owns |
//! | --- | --- |
//! | [`document`] | TOML text and its overrides, every value with its [`Origin`] |
//! | [`manifest`] | the validated values the agent resolves |
//! | [`names`], [`quantity`], [`command`], [`filter`], [`sink`], [`schedule`] | the small languages inside strings |
//! | [`error`] | diagnostics and how they are printed |
//! | [`schema`](mod@schema) | the JSON Schema and the key reference, derived from the decoders |
//! | [`policy`] | what the operator of a host allows |
//! | [`plugin`] | what hostd and a policy plugin say to each other |
//! | [`wire`] | what the app sees |
//! | [`log`] | what stands in a log: records, and what they belong to |
//! | [`api`] | what a client and hostd say to each other |
//! | [`limits`] | every bound on the size of an input |

#![forbid(unsafe_code)]

pub mod api;
pub mod command;
mod decode;
pub mod document;
pub mod error;
pub mod filter;
pub mod limits;
pub mod log;
pub mod manifest;
pub mod names;
mod offset;
pub mod origin;
pub mod plugin;
pub mod policy;
pub mod quantity;
mod raw;
pub mod schedule;
pub mod schema;
mod shape;
pub mod sink;
mod suggest;
mod tree;
mod validate;
pub mod wire;

pub use document::{Document, Layer};
pub use error::{Diagnostic, Diagnostics};
pub use manifest::Manifest;
pub use origin::Origin;
pub use schema::{KeyDoc, keys, schema};
