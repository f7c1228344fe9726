//! Black-box tests over the built `hostctl`, one file a promise.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start programs and read variables

mod support;

mod workspace;
