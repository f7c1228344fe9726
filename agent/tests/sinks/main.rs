//! Promise: each record of a log reaches every sink that wants it, in order, once or as often as the
//! peer can't tell, or is parked; and no peer, whatever it does, costs more than its own records'
//! time.
//!
//! The log is written and routed as the process does that keeps an instance's log; peers are real
//! ones where there are any, and scripts for what real ones do seldom.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there
#![allow(clippy::disallowed_methods)] // tests start peers

mod backlog;
mod changes;
mod http;
mod kills;
mod local;
mod peer;
mod program;
mod real;
mod scene;
mod tls;
mod trials;
