//! Watching a started sandbox to its end.
//!
//! Owns what happens between "ready" and "nothing is left": signals and the terminal passed
//! through, commands started beside the program, stopping with grace, the program's exit.
//! Invariant: when [`Supervisor::watch`] returns, no process of the sandbox exists. Never decides
//! what the sandbox may do.
//!
//! | module | owns |
//! | --- | --- |
//! | [`state`] | the state × event table of a foreground run |
//! | [`instance`] | an instance over all its starts: a second table, and its clock |
//! | [`runner`] | how to watch, and how a run ended |
//! | [`watch`] | the loop: events from the kernel, actions to it |
//! | [`line`] | the conversation with process 1 |
//! | [`orders`] | what process 1 is told, until it takes it |
//! | [`companion`] | who works beside the run in the same loop |
//! | [`terminal`] | the caller's terminal and the sandbox's, joined |

mod companion;
pub mod instance;
mod line;
mod orders;
mod runner;
mod state;
mod terminal;
mod watch;

pub use companion::{Alone, Companion, News, Wish};
pub use runner::{Options, Outcome, Supervisor, WatchError};
