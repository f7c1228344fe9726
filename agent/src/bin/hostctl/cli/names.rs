//! The arguments of `names`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct NamesArguments {
    #[command(subcommand)]
    pub command: NamesCommand,
}

#[derive(Debug, Subcommand)]
pub enum NamesCommand {
    /// Tell systemd-resolved that hostd answers for NAME.internal.
    ///
    /// Makes a network device that leads nowhere, hostctl-names, and says so of that device. It lasts
    /// until the next boot; no file is written. As root.
    Announce,
}
