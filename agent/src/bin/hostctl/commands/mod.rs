//! One file a command.

pub mod check;
pub mod completions;
pub mod doctor;
pub mod init;
mod load;
pub mod plan;
pub mod run;
pub mod schema;
