//! The load: wrk(1) on one page, with connections that are kept or made anew.
//!
//! Owns wrk's command line and reads its result. Never compares.

use std::process::Command;

use crate::Outcome;

/// How clients use connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// One connection for all its requests.
    Kept,
    /// One for each request.
    New,
}

impl Load {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Load::Kept => "kept",
            Load::New => "new for each",
        }
    }

    /// Requests a second that a server on this port of the loopback interface answers.
    pub(crate) fn run(self, port: u16, seconds: u32) -> Outcome<f64> {
        let mut command = Command::new("wrk");
        command.args(["--threads", "1", "--connections", "16", "--duration"]);
        command.arg(format!("{seconds}s"));
        if self == Load::New {
            command.args(["--header", "Connection: close"]);
        }
        let output = command
            .arg(format!("http://127.0.0.1:{port}/"))
            .output()
            .map_err(|error| format!("start wrk (package wrk): {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("Non-2xx") || said.contains("Socket errors: connect") {
            return Err(format!("load port {port}: {said}"));
        }
        let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        let rate = rate.and_then(|rate| rate.trim().parse().ok());
        rate.ok_or_else(|| format!("read what wrk said: {said}"))
    }
}
