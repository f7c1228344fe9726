//! The commands that start no program, run as a person runs them.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there
#![allow(clippy::disallowed_methods)] // a test starts the program it is about

mod audit;
mod check;
mod completions;
mod doctor;
mod init;
mod plan;
mod scene;
