//! The arguments of `logs` and `tracebacks`.

use agent::clock::since_epoch;
use agent::logs::read::when;
use clap::Args;

use crate::target::Target;

/// Which logs, and which records of them.
#[derive(Debug, Args)]
pub struct LogsArguments {
    /// The app, one of its services, or one instance; by default every app.
    #[arg(value_name = "APP[.SERVICE[.N]]")]
    pub target: Option<Target>,

    /// Go on with what is written from now on, until Ctrl-C; begins with the last 10 records unless
    /// -n or --since says otherwise.
    #[arg(long, short)]
    pub follow: bool,

    /// Show the last N records of what is chosen.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(..=most()))]
    pub number: Option<u64>,

    /// Leave out what is older: a duration back (10m, 2h), today, yesterday, 14:30 (the last time
    /// it was), 2026-11-27, or RFC 3339 as in 2026-11-27T14:30:00Z.
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Choosing records")]
    pub since: Option<u64>,

    /// Leave out what is not older; a time as with --since.
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Choosing records")]
    pub until: Option<u64>,

    /// Show only what this regular expression is found in: the text, or the stack trace.
    #[arg(long, value_name = "RE", help_heading = "Choosing records")]
    pub grep: Option<String>,

    /// Show only what passes this filter, as in 'status>=500 and path~"/api"'; may be given again.
    #[arg(long = "where", value_name = "FILTER", help_heading = "Choosing records")]
    pub filters: Vec<String>,

    /// Show only what is at least as bad: trace, debug, info, warn, error or fatal.
    #[arg(long, value_name = "LEVEL", help_heading = "Choosing records")]
    pub level: Option<String>,

    /// Show only what came by this stream: stdout, stderr, syslog, journal, or agent for what
    /// hostctl says itself.
    #[arg(long, value_name = "STREAM", help_heading = "Choosing records")]
    pub stream: Option<String>,

    /// Show only what this version of the app wrote.
    #[arg(long, value_name = "N", help_heading = "Choosing records")]
    pub version: Option<u64>,

    /// Show only the instances with this number.
    #[arg(long, value_name = "N", help_heading = "Choosing records")]
    pub instance: Option<u32>,

    /// Print one JSON object a line: whole records, with what they belong to.
    #[arg(long)]
    pub json: bool,

    /// Print what the programs wrote, byte by byte, and nothing else.
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
}

#[derive(Debug, Args)]
pub struct TracebacksArguments {
    /// The app, or one of its services; by default every app.
    #[arg(value_name = "APP[.SERVICE[.N]]")]
    pub target: Option<Target>,

    /// Count from this time on: a duration back (10m, 2h), today, 14:30, 2026-11-27, RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<u64>,

    /// Show the last one of a group in full; the first digits of its fingerprint are enough.
    #[arg(long, value_name = "FINGERPRINT")]
    pub show: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

const fn most() -> u64 {
    manifest_spec::api::logs::LAST
}

/// A time as it is typed, in nanoseconds since 1970.
fn time(text: &str) -> Result<u64, String> {
    let now = when::nanos(since_epoch());
    when::typed(text, now, &host_sys::clock::local).map_err(|error| error.to_string())
}
