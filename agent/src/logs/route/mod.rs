//! From an instance's log to its sinks: a reader, a batch and a cursor for each of them.
//!
//! Owns what every sink has been told, and telling it the rest. Invariant: each record of the log
//! that a sink wants reaches it in order, or is parked, or waits; never twice, except for the records
//! of one batch that were on their way when this process was killed, the power failed or the peer
//! went away, and only where the peer can't tell. Bounded memory, whatever the backlog: one batch and
//! one line a sink. Never writes to the log, and never makes its writer wait.
//!
//! | module | owns |
//! | --- | --- |
//! | [`router`] | which sinks there are |
//! | [`report`] | how they do, in a file |
//! | [`lane`] | the way to one sink |
//! | [`gather`] | from the log to batches |
//! | [`delivery`] | what follows from a sink's answer |
//! | [`pause`] | how long a sink is left alone |
//! | [`batch`] | records on their way, in a sink's form |
//! | [`cursor`], [`park`] | how far each sink is; what none wanted |
//! | [`shared`] | what the lanes of an instance share |
//! | [`log`] | the log as it is read here |

pub mod batch;
pub mod cursor;
pub mod delivery;
#[cfg(test)]
mod fake;
pub mod gather;
mod lane;
pub mod log;
mod park;
pub mod pause;
mod report;
pub mod router;
mod shared;

pub use report::METRICS;
pub use router::{Instance, Orders, Pulse, Wanted, run};
pub use shared::Counters;
