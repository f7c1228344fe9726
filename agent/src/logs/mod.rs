//! The output of a program: from its streams and sockets to records, from records to sinks.
//!
//! Invariant: what a program wrote is in its instance's log as it was written, or the loss is counted
//! there, whatever is killed when; nobody who takes records from there makes the program wait.
//!
//! ```text
//! program ──pipes, log socket──▶ holder ┄starts┄▶ logger: collect ──▶ segment ──▶ route ──▶ sink
//!                                                    shape ▲             └──▶ tail, hostctl logs
//! ```
//!
//! | module | owns |
//! | --- | --- |
//! | [`holder`] | what the output goes through, and the life of the logger |
//! | [`logger`] | the process that collects and ships |
//! | [`wire`] | what the two say to each other |
//! | [`collect`] | from pipes and sockets to the log |
//! | [`shape`] | from bytes to records |
//! | [`segment`] | the log on disk |
//! | [`route`] | from the log to sinks |
//! | [`sink`] | the kinds of sinks |
//! | [`read`] | the logs of several instances, for whoever looks at them |
//! | [`choice`] | which sinks an app has, beside its manifest |
//! | [`crash`] | the record of a program that a signal ended |
//! | [`tail`] | the last lines of a program |
//! | [`file`] | files that are sinks, before a program starts |
//! | [`stamp`](mod@stamp) | times as records have them |

pub mod choice;
mod collect;
pub mod crash;
mod file;
pub mod holder;
pub mod logger;
pub mod read;
pub mod route;
pub mod segment;
pub mod shape;
pub mod sink;
mod stamp;
mod tail;
pub mod wire;

pub use holder::{Holder, LogError};
pub use stamp::stamp;
pub use tail::{Tail, TailLine};
