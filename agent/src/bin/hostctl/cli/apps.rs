//! The arguments of commands that ask hostd.

use std::time::Duration;

use clap::Args;
use manifest_spec::quantity::Span;

use super::ManifestArguments;
use crate::target::{Part, Scale, Target};

/// Stay until it is done.
#[derive(Debug, Args)]
pub struct WaitArguments {
    /// Wait until it is done, and say what happens meanwhile.
    #[arg(long)]
    pub wait: bool,
    /// With --wait: how long at most; what was begun goes on after that.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub timeout: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    Span::parse(text).map(|span| span.0).map_err(|error| error.to_string())
}

/// What this host may leave out.
#[derive(Debug, Args)]
pub struct ForceArguments {
    /// Refuse whatever this host can't enforce, also what is only advice.
    #[arg(long)]
    pub strict: bool,
    /// Go on where this host can't hold a limit or a wall that the manifest asks for.
    #[arg(long)]
    pub allow_unenforced: bool,
}

#[derive(Debug, Args)]
pub struct DeployArguments {
    #[command(flatten)]
    pub manifest: ManifestArguments,
    #[command(flatten)]
    pub force: ForceArguments,
    #[command(flatten)]
    pub wait: WaitArguments,
    /// Print hostd's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ApplyArguments {
    #[command(flatten)]
    pub manifest: ManifestArguments,
    #[command(flatten)]
    pub force: ForceArguments,
    #[command(flatten)]
    pub wait: WaitArguments,
    /// The token that `plan --deployed` ended with.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Apply the difference without asking.
    #[arg(long, short, conflicts_with = "token")]
    pub yes: bool,
    /// Print hostd's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PartArguments {
    /// The app, or one service of it.
    #[arg(value_name = "APP[.SERVICE]")]
    pub part: Part,
    #[command(flatten)]
    pub wait: WaitArguments,
    /// Print hostd's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ScaleArguments {
    /// The service and how many instances of it; 0 stops it.
    #[arg(value_name = "APP.SERVICE=N")]
    pub scale: Scale,
    #[command(flatten)]
    pub wait: WaitArguments,
    /// Print hostd's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RemoveArguments {
    /// The app.
    #[arg(value_name = "APP")]
    pub app: String,
    /// Delete its managed directories too. Nothing brings them back.
    #[arg(long)]
    pub data: bool,
    /// Don't ask whether the data may go.
    #[arg(long, short)]
    pub yes: bool,
    #[command(flatten)]
    pub wait: WaitArguments,
    /// Print hostd's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PsArguments {
    /// One app alone.
    #[arg(value_name = "APP")]
    pub app: Option<String>,
    /// Print hostd's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct TopArguments {
    /// One app alone.
    #[arg(value_name = "APP")]
    pub app: Option<String>,
}

#[derive(Debug, Args)]
pub struct StatusArguments {
    /// The app.
    #[arg(value_name = "APP")]
    pub app: String,
    /// Print hostd's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct EventsArguments {
    /// One app alone.
    #[arg(value_name = "APP")]
    pub app: Option<String>,
    /// Go on with what happens from now on, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,
    /// Begin with the event of this number.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub since: u64,
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ExecArguments {
    /// The instance; without a number the first that is ready.
    #[arg(value_name = "APP[.SERVICE[.N]]")]
    pub target: Target,
    /// Give the command a terminal.
    #[arg(long, short)]
    pub tty: bool,
    /// Working directory inside; by default the service's own.
    #[arg(long, value_name = "PATH")]
    pub dir: Option<String>,
    /// The command and its arguments, after --.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ShellArguments {
    /// The instance; without a number the first that is ready.
    #[arg(value_name = "APP[.SERVICE[.N]]")]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct HistoryArguments {
    /// The app.
    #[arg(value_name = "APP")]
    pub app: String,
    /// Print the manifest of this version, as it was deployed.
    #[arg(value_name = "VERSION")]
    pub version: Option<u32>,
    /// Print hostd's answer as JSON.
    #[arg(long, conflicts_with = "version")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RollbackArguments {
    /// The app.
    #[arg(value_name = "APP")]
    pub app: String,
    /// The version to go back to; by default the one that served before.
    #[arg(value_name = "VERSION")]
    pub version: Option<u32>,
    #[command(flatten)]
    pub wait: WaitArguments,
    /// Print hostd's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct HaltArguments {
    /// How long to wait at most; stopping goes on after that.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub timeout: Duration,
    /// Print hostd's answer as JSON.
    #[arg(long)]
    pub json: bool,
}
