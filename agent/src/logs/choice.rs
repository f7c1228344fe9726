//! Which sinks an app's instances have: those of its manifest, changed by what operators said.
//!
//! Owns `STATE/logs/APP/sinks.json` ([`SinkChanges`]): hostd and hostctl write it, loggers read it
//! when they are woken. Invariant: replaced as a whole and synced before it counts, so that what an
//! operator was told holds after any crash; readable by hostctl's user alone, since it holds secrets.
//! Starts and stops nothing.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use host_sys::file;
use manifest_spec::api::{SinkStatus, SinkTrial, SinkTrials};
use manifest_spec::log::Resource;
use manifest_spec::log::metrics::PipelineMetrics;
use manifest_spec::log::sinks::{SinkChanges, SinkName, VERSION};

use super::route::Wanted;
use super::segment::instances;
use super::sink::{Surroundings, trial};
use crate::aside::Like;
use crate::aside::start::Starter;
use crate::plan::{Directories, PlannedSink};
use crate::store::{self, StoreError};

/// The file with the changes.
const FILE: &str = "sinks.json";

/// The folder of loggers below RUN, and what is in the folder of each.
const LOGS: &str = "logs";
const METRICS: &str = "metrics.json";
const CONTROL: &str = "control";

/// What wakes a logger so that it reads the changes again.
pub const WAKE: &[u8] = b"sinks";

/// What an operator changed of an app's sinks; nothing where nobody did.
///
/// # Errors
/// When the file is there and can't be read, or is of a later version.
pub fn changes(directories: &Directories, app: &str) -> io::Result<SinkChanges> {
    read(&directories.logs().join(app))
}

fn read(app: &Path) -> io::Result<SinkChanges> {
    let bytes = match fs::read(app.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(SinkChanges::default()),
        read => read?,
    };
    let changes: SinkChanges = serde_json::from_slice(&bytes)?;
    if changes.v > VERSION {
        return Err(io::Error::other(format!("format {} of sinks.json is not known", changes.v)));
    }
    Ok(changes)
}

/// Write down what an operator changed, and wake the loggers of the app.
///
/// # Errors
/// When the folder is not ours, or the disk does not take it: the old file stands then.
pub fn change(
    directories: &Directories,
    app: &str,
    changes: &SinkChanges,
) -> Result<(), StoreError> {
    let folder = store::open(&directories.state, &["logs", app])?;
    let path = directories.logs().join(app);
    let write = || -> io::Result<()> {
        store::replace_synced(&path, FILE, changes)?;
        Ok(file::sync(folder.as_fd())?)
    };
    write().map_err(|error| StoreError::Io(path.join(FILE), error))?;
    wake(directories, app);
    Ok(())
}

/// The sinks of an instance whose manifest declares these. What is wrong with an addition was refused
/// when it was made; one that a later version of hostctl understands is left out here.
pub fn wanted(declared: &[PlannedSink], changes: &SinkChanges) -> Vec<Wanted> {
    let kept = declared.iter().filter(|sink| !changes.removed.contains(&name(sink)));
    let declared =
        |sink: &PlannedSink| Wanted { sink: sink.clone(), added: false, from_beginning: false };
    let mut all: Vec<Wanted> = kept.map(declared).collect();
    for entry in &changes.added {
        let Ok(sink) = entry.sink() else { continue };
        let sink = PlannedSink::new(&sink, Path::new("/"));
        if !all.iter().any(|one| one.sink.id() == sink.id()) {
            all.push(Wanted { sink, added: true, from_beginning: entry.from_beginning });
        }
    }
    all
}

/// The same for the instance whose log is in this folder. Changes that can't be read change nothing:
/// an app is not to do without its log for them.
pub fn wanted_in(folder: &Path, declared: &[PlannedSink]) -> Vec<Wanted> {
    let changes = folder.parent().and_then(|app| read(app).ok()).unwrap_or_default();
    wanted(declared, &changes)
}

/// What a sink is known by.
pub fn name(sink: &PlannedSink) -> SinkName {
    SinkName { to: sink.to.to_string(), when: sink.when.as_ref().map(ToString::to_string) }
}

/// Have the loggers of an app read the changes. One that is not there reads them when it starts.
fn wake(directories: &Directories, app: &str) {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    for instance in running(directories, Some(app)) {
        let control = directories.run.join(LOGS).join(&instance).join(CONTROL);
        let _ = socket.send_to(WAKE, control);
    }
}

/// How the sinks of one app, or of all, do: those of every instance that has a logger, and what was
/// added to apps of which none runs.
///
/// # Errors
/// When the changes to an app can't be read.
pub fn standing(directories: &Directories, app: Option<&str>) -> io::Result<Vec<SinkStatus>> {
    let mut all = Vec::new();
    for instance in running(directories, app) {
        let Some(app) = instance.split('.').next() else { continue };
        let changes = changes(directories, app)?;
        let sinks = metrics(directories, &instance).map(|metrics| metrics.sinks);
        all.extend(sinks.into_iter().flatten().map(|sink| SinkStatus {
            app: app.to_owned(),
            instance: Some(instance.clone()),
            added: changes.added.iter().any(|one| (&one.to, &one.when) == (&sink.to, &sink.when)),
            to: sink.to.clone(),
            when: sink.when.clone(),
            metrics: Some(sink),
        }));
    }
    let mut apps: Vec<String> =
        instances(&directories.logs(), app).into_iter().map(|log| log.app).collect();
    apps.extend(app.map(str::to_owned));
    apps.sort();
    apps.dedup();
    for app in apps.into_iter().filter(|app| !app.contains('/')) {
        let idle = !all.iter().any(|one| one.app == app);
        let added = changes(directories, &app)?.added.into_iter().filter(|_| idle);
        all.extend(added.map(|entry| SinkStatus {
            app: app.clone(),
            instance: None,
            to: entry.to,
            when: entry.when,
            added: true,
            metrics: None,
        }));
    }
    Ok(all)
}

/// The sinks of an app's manifests, as far as instances that run have them.
///
/// # Errors
/// When the changes to the app can't be read.
pub fn declared(directories: &Directories, app: &str) -> io::Result<Vec<SinkName>> {
    let all = standing(directories, Some(app))?.into_iter().filter(|one| !one.added);
    let mut names: Vec<SinkName> = all.map(|one| SinkName { to: one.to, when: one.when }).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// How the log of an instance does, `shop.web.1`; `None` where it has no logger.
pub fn metrics(directories: &Directories, instance: &str) -> Option<PipelineMetrics> {
    let path = directories.run.join(LOGS).join(instance).join(METRICS);
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// The instances that have a logger, of one app or of all, in order.
pub fn running(directories: &Directories, app: Option<&str>) -> Vec<String> {
    let entries = fs::read_dir(directories.run.join(LOGS)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let of_app = |name: &String| {
        let own = name.split('.').next();
        name.split('.').count() == 3 && app.is_none_or(|app| own == Some(app))
    };
    let mut names: Vec<String> = names.filter(of_app).collect();
    names.sort();
    names
}

/// Send one record to each of these sinks of an app, and say what happened. A program is run as
/// `programs` says, if there is anything to run it beside.
pub async fn try_out(
    app: &str,
    sinks: &[PlannedSink],
    programs: Option<(Starter, Like)>,
    clock: fn() -> Duration,
) -> SinkTrials {
    let around = Surroundings { programs, ..Surroundings::of_host(clock) };
    let resource = Resource {
        app: app.to_owned(),
        service: "test".to_owned(),
        instance: 0,
        version: None,
        host: host_name(),
        boot_id: crate::lease::holder::boot_id().unwrap_or_default(),
        started: super::stamp(clock()),
    };
    let mut trials = Vec::new();
    for planned in sinks {
        let outcome = trial(planned, resource.clone(), &around).await;
        let taken = outcome.is_ok();
        let said = outcome.unwrap_or_else(|said| said);
        trials.push(SinkTrial { to: planned.to.to_string(), taken, said });
    }
    SinkTrials { trials }
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim_end().to_owned()
}
