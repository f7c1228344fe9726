//! The arguments of `lb`.

use clap::{Args, Subcommand};

/// What `hostctl lb --help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  hostctl lb show shop.web
  hostctl lb policy shop.web canary --version 8 --share 10%
  hostctl lb add legacy 192.0.2.7:8080 --listen 80";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct LbArguments {
    #[command(subcommand)]
    pub command: Option<LbCommand>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum LbCommand {
    /// List services: where each is found, and how many backends serve it.
    Ls {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },

    /// Show the backends of a service: state, weight, share of new connections, open ones.
    Show {
        /// The service, and the further ports of it.
        #[arg(value_name = "NAME")]
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },

    /// Show backends anew every second.
    ///
    /// q or Ctrl-C ends it. Without a terminal one table is printed.
    Watch {
        /// One service alone, and the further ports of it.
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },

    /// Add a backend that hostd runs nothing of.
    ///
    /// A name that no app has becomes a service of its own if --listen says where it is found. A
    /// backend of TCP gets connections once it answers, and none while it does not.
    Add {
        /// The service.
        #[arg(value_name = "NAME")]
        name: String,
        /// The backend's address and port.
        #[arg(value_name = "ADDRESS:PORT")]
        address: String,
        /// What it counts for beside the others, 1 to 1000; 100 is usual.
        #[arg(long, value_name = "N")]
        weight: Option<u32>,
        /// Where a new service is found: 80, 192.0.2.1:80, 53/udp.
        #[arg(long, value_name = "PLACE")]
        listen: Vec<String>,
        /// Print hostd's answer as JSON.
        #[arg(long)]
        json: bool,
    },

    /// Remove a backend that was added, with its connections; or a service that was.
    Remove {
        /// The service.
        #[arg(value_name = "NAME")]
        name: String,
        /// The backend; without it the whole service goes.
        #[arg(value_name = "ADDRESS:PORT")]
        backend: Option<String>,
        /// Print hostd's answer as JSON.
        #[arg(long)]
        json: bool,
    },

    /// Say what a backend counts for beside the others.
    ///
    /// It counts for the policies weighted, random, source-hash, least-connections, p2c and canary.
    Weight {
        /// The service.
        #[arg(value_name = "NAME")]
        name: String,
        /// The backend, as `lb show` names it.
        #[arg(value_name = "BACKEND")]
        backend: String,
        /// 1 to 1000; 100 is usual.
        #[arg(value_name = "N")]
        weight: u32,
        /// Print hostd's answer as JSON.
        #[arg(long)]
        json: bool,
    },

    /// Send no new connections to a backend; those that it has live on.
    Drain {
        /// The service.
        #[arg(value_name = "NAME")]
        name: String,
        /// The backend, as `lb show` names it.
        #[arg(value_name = "BACKEND")]
        backend: String,
        /// Send it new connections again.
        #[arg(long)]
        back: bool,
        /// Print hostd's answer as JSON.
        #[arg(long)]
        json: bool,
    },

    /// Choose how new connections are shared out.
    ///
    /// It stays so over new versions; without a policy the manifest's own counts again.
    Policy {
        /// The service.
        #[arg(value_name = "NAME")]
        name: String,
        /// round-robin, weighted, random, source-hash, least-connections, p2c or canary.
        #[arg(value_name = "POLICY")]
        policy: Option<String>,
        /// For canary: the version that gets the share.
        #[arg(long, value_name = "N")]
        version: Option<String>,
        /// For canary: its share of new connections, 1% to 99%.
        #[arg(long, value_name = "PERCENT", value_parser = percent)]
        share: Option<u32>,
        /// Print hostd's answer as JSON.
        #[arg(long)]
        json: bool,
    },
}

fn percent(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse();
    number.map_err(|_| "expected a share such as 10%".to_owned())
}
