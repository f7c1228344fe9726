//! The arguments of `lease`, `lock` and `--port-offset`.

use std::ffi::OsString;
use std::str::FromStr;

use agent::lease::key::Key;
use clap::{Args, Subcommand};

/// How far ports are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortOffset {
    /// By so many.
    By(u16),
    /// To the first place where all of them are free.
    Auto,
}

impl FromStr for PortOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(PortOffset::Auto),
            number => number
                .parse()
                .map(PortOffset::By)
                .map_err(|_| "expected a number up to 65535, or auto".to_owned()),
        }
    }
}

#[derive(Debug, Args)]
pub struct LeaseArguments {
    #[command(subcommand)]
    pub command: LeaseCommand,
}

#[derive(Debug, Subcommand)]
pub enum LeaseCommand {
    /// List leases.
    Ls {
        /// Show those whose holder is gone too.
        #[arg(long)]
        all: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },

    /// Show who holds a key, and what became of it before.
    Show {
        /// What: port:8080/tcp, name:shop.web.1, data:/PATH, lock:NAME.
        #[arg(value_name = "KEY")]
        key: Key,
    },

    /// Take a key from a holder that is gone.
    Release {
        /// What, as `lease ls` writes it.
        #[arg(value_name = "KEY")]
        key: Key,
        /// Take it from a holder that lives, too: that one is not told.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub struct LockArguments {
    /// Name of the lock.
    #[arg(value_name = "NAME")]
    pub name: String,

    /// How many commands may hold it at once.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub max: u32,

    /// Wait until it can be had.
    #[arg(long)]
    pub wait: bool,

    /// The command and its arguments, after --.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}
