//! The arguments of `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use manifest_spec::quantity::Span;

#[derive(Debug, Args)]
pub struct PolicyArguments {
    #[command(subcommand)]
    pub command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Try a plugin in every case that it must master.
    ///
    /// It runs as hostd would run it: in a sandbox without grants that has the working folder to
    /// read. Exit code 1 if it fails a case.
    #[command(after_help = "Examples:
  hostctl policy check ./rack_aware.py
  hostctl policy check --deadline 50ms -- python3 rack_aware.py --verbose")]
    Check {
        #[command(flatten)]
        plugin: PluginArguments,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },

    /// Show what a plugin would make of recorded measurements.
    ///
    /// The trace has a question a line, as a plugin reads it; its id and v may be left out. For each
    /// the answer is shown, and the share of new connections that every backend would get.
    #[command(after_help = "Example:
  hostctl policy try ./rack_aware.py --trace trace.jsonl")]
    Try {
        #[command(flatten)]
        plugin: PluginArguments,
        /// The file with the questions.
        #[arg(long, value_name = "FILE")]
        trace: PathBuf,
        /// Print JSON, a line for each question.
        #[arg(long)]
        json: bool,
    },

    /// Print the protocol as JSON Schema: what a plugin reads and what it writes.
    Schema,
}

/// A plugin that is tried.
#[derive(Debug, Args)]
pub struct PluginArguments {
    /// The plugin's program and its arguments.
    #[arg(value_name = "PLUGIN", required = true)]
    pub command: Vec<String>,
    /// Time for one answer.
    #[arg(long, value_name = "DURATION", value_parser = span, default_value = "1s")]
    pub deadline: Span,
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).map_err(|error| error.to_string())
}
