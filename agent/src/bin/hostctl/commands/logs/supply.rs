//! Where records come from: the files of logs, where the caller may read them, else hostd.
//!
//! Invariant: a follower waits without working, and ends when nobody reads any more. Both ways give
//! the same records in the same order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::clock::since_epoch;
use agent::failure::{DATA, Error};
use agent::logs::read::select::Selection;
use agent::logs::read::{Progress, ReadError, Reading, when};
use agent::logs::segment::{InstanceLog, instances};
use agent::plan::facts;
use manifest_spec::api::{LogLine, LogQuery};

use super::Show;
use crate::client::place::{Machine, Place};
use crate::client::{self, Client};
use crate::ui;

/// Bytes of records that are read before what passes is shown.
const PIECE: usize = 256 * 1024;

/// Between two looks for more: longer the longer nothing came.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(200);

/// Between two looks for instances that are new.
const INSTANCES: Duration = Duration::from_secs(1);

/// See the module's text.
#[derive(Debug)]
pub enum Supply {
    /// These logs.
    Files(PathBuf, LogQuery),
    /// Those of this hostd.
    Hostd(Place, LogQuery),
}

impl Supply {
    /// Where a query is answered: by the hostd of another machine if one is named, by the caller's
    /// own files if there are any, else by the host's hostd.
    pub fn find(query: LogQuery, host: Option<&Machine>) -> Result<Supply, Error> {
        let own = facts::directories()?;
        let logs = own.logs();
        let found = found(&logs, &query)?;
        let supply = match Place::find(host)? {
            Place::Here(socket) if socket == own.socket() || found => Supply::Files(logs, query),
            place => Supply::Hostd(place, query),
        };
        match &supply {
            Supply::Files(logs, query) if !found && !query.follow => Err(nothing(query, logs)),
            _ => Ok(supply),
        }
    }

    /// Whether there is nothing to show before something is written.
    pub fn is_waiting(&self) -> bool {
        match self {
            Supply::Files(logs, query) => !found(logs, query).unwrap_or(true),
            Supply::Hostd(..) => false,
        }
    }

    /// All that the query asks for, piece by piece, until nobody wants more.
    pub fn each(self, show: &mut Show<'_>) -> Result<(), Error> {
        match self {
            Supply::Files(logs, query) => files(&logs, &query, show),
            Supply::Hostd(place, query) => client::run(hostd(&place, &query, show)),
        }
    }
}

fn files(logs: &Path, query: &LogQuery, show: &mut Show<'_>) -> Result<(), Error> {
    let mut reading = Reading::open(logs, query).map_err(failed)?;
    let mut pause = SHORTEST;
    let mut since_looked = Duration::ZERO;
    loop {
        let mut lines = Vec::new();
        let progress = reading.step(PIECE, &mut |line| lines.push(line)).map_err(failed)?;
        if !lines.is_empty() {
            pause = SHORTEST;
            if !show(reading.instances(), &lines)? {
                return Ok(());
            }
        }
        if progress == Progress::More {
            continue;
        }
        let over = reading.until().is_some_and(|until| when::nanos(since_epoch()) > until);
        if !query.follow || over || ui::is_unread() {
            return Ok(());
        }
        std::thread::sleep(pause);
        since_looked += pause;
        pause = (pause * 2).min(LONGEST);
        if since_looked >= INSTANCES {
            reading.look_again().map_err(failed)?;
            since_looked = Duration::ZERO;
        }
    }
}

async fn hostd(place: &Place, query: &LogQuery, show: &mut Show<'_>) -> Result<(), Error> {
    let path = format!("/v1/logs?{}", query.encode());
    let mut lines = Client::open(place).await?.follow(&path).await?;
    let instances = lines.instances();
    loop {
        tokio::select! {
            line = lines.next() => {
                let Some(line) = line? else { return Ok(()) };
                let mut ready = vec![read(&line)?];
                while let Some(line) = lines.waiting() {
                    ready.push(read(&line)?);
                }
                if !show(instances, &ready)? {
                    return Ok(());
                }
            }
            () = tokio::time::sleep(LONGEST) => if ui::is_unread() {
                return Ok(());
            },
        }
    }
}

fn read(line: &[u8]) -> Result<LogLine, Error> {
    serde_json::from_slice(line).map_err(|error| {
        let message = format!("hostd's answer can't be understood: {error}");
        Error::Unreachable(message, "are hostd and hostctl of one version?".into())
    })
}

fn failed(error: ReadError) -> Error {
    match error {
        ReadError::Selection(error) => Error::Usage(error.to_string(), "see --help".into()),
        ReadError::Io(path, error) => Error::Source(agent::source::SourceError::Read(path, error)),
    }
}

/// Whether there is a log that the query is about.
fn found(logs: &Path, query: &LogQuery) -> Result<bool, Error> {
    let selection = Selection::new(query).map_err(|error| failed(error.into()))?;
    Ok(instances(logs, query.app.as_deref()).iter().any(|log| selection.takes_log(log)))
}

/// There are no such logs.
fn nothing(query: &LogQuery, logs: &Path) -> Error {
    let name = |log: InstanceLog| format!("{}.{}.{}", log.app, log.service, log.instance);
    let mut there = instances(logs, query.app.as_deref());
    if there.is_empty() {
        there = instances(logs, None);
    }
    let names: Vec<String> = there.into_iter().map(name).collect();
    let message = match (&query.app, &query.service) {
        (Some(app), Some(service)) => format!("there are no logs of {app}.{service}"),
        (Some(app), None) => format!("there are no logs of {app}"),
        _ => "there are no logs".to_owned(),
    };
    let hint = match names.is_empty() {
        true => "logs are kept of what is deployed, and of runs with [logs] sinks".to_owned(),
        false => format!("there are logs of {}", names.join(", ")),
    };
    Error::Refused(message, hint, DATA)
}
