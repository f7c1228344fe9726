//! Watching a started sandbox to its end.
//!
//! Owns what happens between "ready" and "nothing is left": signals and the terminal passed
//! through, stopping with grace, the program's exit. Invariant: when [`watch`] returns, no process
//! of the sandbox exists. Never decides what the sandbox may do.
//!
//! | module | owns |
//! | --- | --- |
//! | [`state`] | the state × event table of a foreground run |
//! | [`instance`] | an instance over all its starts: a second table, and its clock |
//! | [`runner`] | events from the kernel, actions to it |
//! | [`terminal`] | the caller's terminal and the sandbox's, joined |

pub mod instance;
mod runner;
mod state;
mod terminal;

pub use runner::{Losses, Notice, Options, Outcome, Supervisor, WatchError};
