//! From an instance's log to its sinks: a reader, a batch and a cursor for each of them.
//!
//! | module | owns |
//! | --- | --- |
//! | [`log`] | the log as it is read here |
//! | [`batch`] | records on their way, in a sink's form |
//! | [`delivery`] | what follows from a sink's answer |
//! | [`pause`] | how long a sink is left alone |

pub mod batch;
pub mod cursor;
pub mod delivery;
pub mod log;
pub mod pause;
