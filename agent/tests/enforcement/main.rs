//! Promise: the eBPF programs alone, with no other wall behind them, hold a cgroup to its rules.
//!
//! In a sandbox Landlock and the system call filter refuse much of what is tried here before the
//! programs are asked. So each attacker of `tests/attackers` is started here in a cgroup of its own
//! as an ordinary user and nothing else, in a network namespace of the test's.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start programs

mod arrivals;
mod binding;
mod change;
mod clients;
mod destinations;
mod interfaces;
#[path = "../../../tests/support/namespace.rs"]
mod namespace;
mod routes;
mod wall;
