//! The arguments of `hooks`.

use clap::{Args, Subcommand, ValueEnum};
use manifest_spec::manifest::Days;

#[derive(Debug, Args)]
pub struct HooksArguments {
    #[command(subcommand)]
    pub command: HooksCommand,
}

#[derive(Debug, Subcommand)]
pub enum HooksCommand {
    /// Show when a schedule is due: by the clocks of its zone, and in UTC.
    ///
    /// What may surprise is said: steps that do not divide an hour, days that months don't have,
    /// times that clocks skip or show twice.
    #[command(
        after_help = "Example:\n  hostctl hooks next --expr \"30 2 * * *\" --zone Europe/Berlin --from 2026-03-28T12:00:00Z"
    )]
    Next(NextArguments),
}

#[derive(Debug, Args)]
pub struct NextArguments {
    /// The schedule: minute, hour, day of month, month, day of week; or a word such as @daily.
    #[arg(long, value_name = "EXPRESSION", allow_hyphen_values = true)]
    pub expr: String,

    /// The zone whose clocks count, such as Europe/Berlin; "local" is this host's.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub zone: String,

    /// The instant to begin behind, such as 2026-03-28T12:00:00Z; now if it is not given.
    #[arg(long, value_name = "INSTANT")]
    pub from: Option<String>,

    /// How many.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub count: usize,

    /// How a day of the month and a day of the week combine, where a schedule has both.
    #[arg(long, value_name = "HOW")]
    pub days: Option<DaysArgument>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DaysArgument {
    /// A day that one of them names, as cron has it.
    Either,
    /// A day that both name.
    Both,
}

impl From<DaysArgument> for Days {
    fn from(days: DaysArgument) -> Days {
        match days {
            DaysArgument::Either => Days::Either,
            DaysArgument::Both => Days::Both,
        }
    }
}
