//! The arguments of `audit`.

use agent::audit::verify::Noted;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AuditArguments {
    #[command(subcommand)]
    pub command: Option<AuditCommand>,

    /// How many entries, from the last one back.
    #[arg(long, short, value_name = "N", default_value_t = 20)]
    pub number: usize,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify that no entry was changed, removed, moved or inserted.
    ///
    /// Exit code 1 and the line if one was. Whoever can write the log as hostctl's user can write
    /// all of it anew: note the last entry that this prints elsewhere, and give it as --noted.
    Verify {
        /// An entry that must be in the log, as `audit verify` printed it.
        #[arg(long, value_name = "N:HASH", value_parser = noted)]
        noted: Option<Noted>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

fn noted(text: &str) -> Result<Noted, String> {
    let parts = text.split_once(':').and_then(|(n, hash)| Some((n.parse().ok()?, hash)));
    let is_hash = |hash: &str| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    match parts {
        Some((n, hash)) if n > 0 && is_hash(hash) => {
            Ok(Noted { n, hash: hash.to_ascii_lowercase() })
        }
        _ => Err("expected a number, a colon and 64 hexadecimal digits".to_owned()),
    }
}
