//! The arguments of `sinks`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use manifest_spec::log::sinks::{SinkEntry, SinkName};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SinksArguments {
    #[command(subcommand)]
    pub command: Option<SinksCommand>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum SinksCommand {
    /// List the sinks of every instance, and how each does.
    Ls {
        /// One app alone.
        #[arg(value_name = "APP")]
        app: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },

    /// Send one record to a sink, and say what happened; to every sink of the app if none is named.
    ///
    /// Exit code 1 if a sink did not take it.
    Test {
        /// The app.
        #[arg(value_name = "APP")]
        app: String,
        /// The sink's address; it need not be one of the app's.
        #[arg(value_name = "ADDRESS")]
        address: Option<String>,
        #[command(flatten)]
        options: SinkOptions,
        /// Print hostd's answer as JSON.
        #[arg(long)]
        json: bool,
    },

    /// Send an app's records to one more sink, from now on; no instance is restarted.
    Add {
        /// The app.
        #[arg(value_name = "APP")]
        app: String,
        /// The sink's address, as in logs.sinks of a manifest.
        #[arg(value_name = "ADDRESS")]
        address: String,
        #[command(flatten)]
        options: SinkOptions,
        /// Send what is in the logs already, too.
        #[arg(long)]
        from_beginning: bool,
        /// Print hostd's answer as JSON.
        #[arg(long)]
        json: bool,
    },

    /// Send an app's records to one sink less; no instance is restarted.
    ///
    /// A sink of the manifest stays removed until it is added again, whatever is deployed.
    Remove {
        /// The app.
        #[arg(value_name = "APP")]
        app: String,
        /// The sink's address, as `sinks ls` shows it.
        #[arg(value_name = "ADDRESS")]
        address: String,
        /// Its filter, where it has one.
        #[arg(long, value_name = "FILTER")]
        when: Option<String>,
        /// Print hostd's answer as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What a sink has beside its address.
#[derive(Debug, Args)]
pub struct SinkOptions {
    /// Send only what passes this filter: 'level>=warn'.
    #[arg(long, value_name = "FILTER")]
    pub when: Option<String>,
    /// Begin a new file at this size, or never; for file: sinks.
    #[arg(long, value_name = "SIZE|never")]
    pub rotate: Option<String>,
    /// How many earlier files stay; for file: sinks.
    #[arg(long, value_name = "N")]
    pub copies: Option<u32>,
    /// Add a label to the streams; for loki+ sinks.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    pub labels: Vec<(String, String)>,
    /// Add a header to the requests; for sinks of HTTP.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = pair)]
    pub headers: Vec<(String, String)>,
}

impl SinkOptions {
    /// The sink with this address; `folder` is where a relative path starts.
    pub fn entry(
        &self,
        address: &str,
        folder: &std::path::Path,
        from_beginning: bool,
    ) -> SinkEntry {
        let map = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
        SinkEntry {
            to: absolute(address, folder),
            when: self.when.clone(),
            rotate: self.rotate.clone(),
            copies: self.copies,
            labels: map(&self.labels),
            headers: map(&self.headers),
            from_beginning,
        }
    }
}

/// What a sink with this address and filter is known by.
pub fn name(address: &str, when: Option<&String>, folder: &std::path::Path) -> SinkName {
    SinkName { to: absolute(address, folder), when: when.cloned() }
}

/// An address with its path from the root.
fn absolute(address: &str, folder: &std::path::Path) -> String {
    for scheme in ["file:", "exec:"] {
        if let Some(path) = address.strip_prefix(scheme) {
            let is_path = scheme == "file:" || path.starts_with("./") || path.starts_with("../");
            if is_path && !path.is_empty() {
                let path = path.strip_prefix("./").unwrap_or(path);
                return format!("{scheme}{}", folder.join(path).display());
            }
        }
    }
    address.to_owned()
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
