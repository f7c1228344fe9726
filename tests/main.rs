//! Black-box tests over the built `hostctl`, one file a promise.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start programs and read variables

mod support;

mod bare_root;
mod examples;
mod exit_codes;
mod failures;
mod flags;
mod hidden_files;
mod logs;
mod managed_data;
mod overrides;
mod program_view;
mod rootless;
mod side_by_side;
mod stopping;
mod streams;
mod terminal;
mod user_ids;
mod workspace;
