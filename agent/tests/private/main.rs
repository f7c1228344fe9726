//! Promises of a private network, held by packets: a client, a host and a server outside, each in
//! a network namespace made here, with real sockets.
//!
//! Needs root and nft(8). Nothing outside the namespaces is touched.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there
#![allow(clippy::disallowed_methods)] // tests start programs and themselves

mod coexistence;
mod egress;
mod forwards;
mod isolation;
mod kill;

mod lifetime;
mod scene;
mod text;
