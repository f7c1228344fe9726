//! `hostctl sinks`: where the records of apps go, and changing that while they run.
//!
//! With a hostd it is hostd's matter, which records who did it. Without one, what runs in the
//! foreground is told by its files.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use agent::clock::since_epoch;
use agent::failure::{CANT_CREATE, DATA, Error, FAILED};
use agent::logs::choice;
use agent::plan::{Directories, PlannedSink, facts};
use manifest_spec::api::{Changed, SinkList, SinkStatus, SinkTestRequest};
use manifest_spec::log::metrics::SinkState;
use manifest_spec::log::sinks::{Changing, EntryError, SinkChanges, SinkEntry, SinkName};
use serde::Serialize;

use crate::board::{self, Cell, Look, Tone};
use crate::cli::sinks::{SinksArguments, SinksCommand, name};
use crate::client::place::Machine;
use crate::client::{self, Client, Place, app_path};
use crate::ui::Ui;
use crate::words;

pub fn sinks(
    arguments: SinksArguments,
    host: Option<&Machine>,
    ui: &Ui,
) -> Result<ExitCode, Error> {
    let way = Way::find(host)?;
    let command = arguments.command.unwrap_or(SinksCommand::Ls { app: None, json: arguments.json });
    match command {
        SinksCommand::Ls { app, json } => list(&way, app.as_deref(), json, ui),
        SinksCommand::Test { app, address, options, json } => {
            let folder = folder()?;
            let entry = address.map(|address| options.entry(&address, &folder, false));
            test(&way, &app, entry, json, ui)
        }
        SinksCommand::Add { app, address, options, from_beginning, json } => {
            let entry = options.entry(&address, &folder()?, from_beginning);
            add(&way, &app, entry, json, ui)
        }
        SinksCommand::Remove { app, address, when, json } => {
            remove(&way, &app, &name(&address, when.as_ref(), &folder()?), json, ui)
        }
    }
}

/// Who is asked.
enum Way {
    /// hostd.
    Hostd(Place),
    /// Nobody: the caller's own files.
    Files(Directories),
}

impl Way {
    fn find(host: Option<&Machine>) -> Result<Way, Error> {
        let own = facts::directories()?;
        Ok(match Place::find(host)? {
            Place::Here(socket)
                if socket == own.socket() && UnixStream::connect(&socket).is_err() =>
            {
                Way::Files(own)
            }
            place => Way::Hostd(place),
        })
    }
}

fn folder() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|error| {
        Error::Usage(format!("the working directory: {error}"), "change to another one".into())
    })
}

fn list(way: &Way, app: Option<&str>, json: bool, ui: &Ui) -> Result<ExitCode, Error> {
    let (list, text) = match way {
        Way::Files(directories) => {
            let sinks = choice::standing(directories, app).map_err(|error| unread(&error))?;
            let list = SinkList { sinks };
            let text = format!("{}\n", as_json(&list));
            (list, text)
        }
        Way::Hostd(place) => client::run(async {
            let path = match app {
                Some(app) => format!(
                    "/v1/sinks?app={}",
                    app_path(app).rsplit('/').next().unwrap_or_default()
                ),
                None => "/v1/sinks".to_owned(),
            };
            let answer = Client::open(place).await?.get(&path).await?;
            Ok((answer.read()?, answer.json()))
        })?,
    };
    match (json, list.sinks.is_empty()) {
        (true, _) => ui.answer(&text)?,
        (false, true) => ui.say("no instance that runs has a sink; `hostctl sinks add` adds one"),
        (false, false) => ui.answer(&table(&list, ui.look()))?,
    }
    Ok(ExitCode::SUCCESS)
}

const HEAD: [&str; 8] =
    ["INSTANCE", "SINK", "STATE", "SENT", "LAG", "RETRIES", "PARKED", "SAID LAST"];

/// The column that gives way on a narrow terminal.
const SAID: usize = 7;

fn table(list: &SinkList, look: Look) -> String {
    let rows: Vec<Vec<Cell>> = list.sinks.iter().map(row).collect();
    board::table(&HEAD, &rows, SAID, look)
}

fn row(sink: &SinkStatus) -> Vec<Cell> {
    let instance = sink.instance.clone().unwrap_or_else(|| sink.app.clone());
    let name = SinkName { to: sink.to.clone(), when: sink.when.clone() };
    let added = if sink.added { " (added)" } else { "" };
    let mut row = vec![instance.into(), format!("{name}{added}").into()];
    let Some(metrics) = &sink.metrics else {
        row.push(Cell::toned("not running", Tone::Faint));
        return row;
    };
    let tone = match metrics.state {
        SinkState::Idle | SinkState::Done => Tone::Good,
        SinkState::Sending => Tone::Moving,
        SinkState::Waiting | SinkState::Unusable => Tone::Bad,
    };
    let lag = match metrics.lag_records {
        0 => "-".to_owned(),
        count => {
            format!("{count}, {}", words::span((metrics.lag_seconds.max(0.0) * 1000.0) as u64))
        }
    };
    let said = metrics.last_error.as_ref().map(|error| error.said.clone());
    row.extend([
        Cell::toned(metrics.state.as_str(), tone),
        Cell::number(metrics.delivered.to_string()),
        Cell::number(lag),
        Cell::number(metrics.retries.to_string()),
        Cell::number(metrics.parked.to_string()),
        said.unwrap_or_default().into(),
    ]);
    row
}

fn test(
    way: &Way,
    app: &str,
    entry: Option<SinkEntry>,
    json: bool,
    ui: &Ui,
) -> Result<ExitCode, Error> {
    let (trials, text) = match way {
        Way::Hostd(place) => client::run(async {
            let path = format!("{}/sinks/test", app_path(app));
            let request = SinkTestRequest { sink: entry };
            let answer = Client::open(place).await?.post(&path, &request).await?;
            Ok((answer.read()?, answer.json()))
        })?,
        Way::Files(directories) => {
            let sinks: Vec<PlannedSink> = match entry {
                Some(entry) => vec![planned(&entry)?],
                None => {
                    let changes =
                        choice::changes(directories, app).map_err(|error| unread(&error))?;
                    choice::wanted(&[], &changes).into_iter().map(|one| one.sink).collect()
                }
            };
            let trials =
                client::run(async { Ok(choice::try_out(app, &sinks, None, since_epoch).await) })?;
            let text = format!("{}\n", as_json(&trials));
            (trials, text)
        }
    };
    if json {
        ui.answer(&text)?;
    } else if trials.trials.is_empty() {
        ui.say(&format!("{app} has no sink that could be tried here; name its address"));
    }
    for trial in trials.trials.iter().filter(|_| !json) {
        let (word, tone) =
            if trial.taken { ("taken", Tone::Good) } else { ("not taken", Tone::Bad) };
        let word = tone.paint(word, ui.look().colour);
        ui.answer(&format!(
            "{}: {word}: {}\n",
            crate::ui::harmless(&trial.to),
            crate::ui::harmless(&trial.said)
        ))?;
    }
    let well = trials.trials.iter().all(|trial| trial.taken);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn add(way: &Way, app: &str, entry: SinkEntry, json: bool, ui: &Ui) -> Result<ExitCode, Error> {
    // What is wrong with it is said here, in the words of this version.
    planned(&entry)?;
    let name = entry.name();
    let told =
        (format!("{app}: records go to {name} as well"), format!("{app}: {name} is there already"));
    match way {
        Way::Hostd(place) => ask(place, app, "POST", &entry, told, json, ui),
        Way::Files(directories) => {
            let declared = choice::declared(directories, app).map_err(|error| unread(&error))?;
            here(directories, app, told, ui, |changes| match changes.add(entry, &declared) {
                Changing::Done => Ok(true),
                Changing::SoAlready | Changing::Unknown => Ok(false),
            })
        }
    }
}

fn remove(way: &Way, app: &str, name: &SinkName, json: bool, ui: &Ui) -> Result<ExitCode, Error> {
    let told = (
        format!("{app}: no more records go to {name}"),
        format!("{app}: {name} is removed already"),
    );
    match way {
        Way::Hostd(place) => ask(place, app, "DELETE", name, told, json, ui),
        Way::Files(directories) => {
            let declared = choice::declared(directories, app).map_err(|error| unread(&error))?;
            here(directories, app, told, ui, |changes| match changes.remove(name, &declared) {
                Changing::Done => Ok(true),
                Changing::SoAlready => Ok(false),
                Changing::Unknown => Err(Error::Refused(
                    format!("{app} has no sink {name}"),
                    "`hostctl sinks ls` lists those that there are".into(),
                    DATA,
                )),
            })
        }
    }
}

/// Have hostd change it.
fn ask(
    place: &Place,
    app: &str,
    method: &str,
    body: &impl Serialize,
    (done, so_already): (String, String),
    json: bool,
    ui: &Ui,
) -> Result<ExitCode, Error> {
    client::run(async {
        let path = format!("{}/sinks", app_path(app));
        let mut client = Client::open(place).await?;
        let answer = match method {
            "POST" => client.post(&path, body).await?,
            _ => client.delete(&path, body).await?,
        };
        let changed: Changed = answer.read()?;
        if json {
            ui.answer(&answer.json())?;
        }
        ui.say(if changed.unchanged { &so_already } else { &done });
        Ok(ExitCode::SUCCESS)
    })
}

/// Change it in the caller's own files.
fn here(
    directories: &Directories,
    app: &str,
    (done, so_already): (String, String),
    ui: &Ui,
    apply: impl FnOnce(&mut SinkChanges) -> Result<bool, Error>,
) -> Result<ExitCode, Error> {
    if !directories.logs().join(app).is_dir() {
        let hint = "sinks are added to apps that were run or deployed before";
        return Err(Error::Refused(format!("there are no logs of {app}"), hint.into(), DATA));
    }
    let mut changes = choice::changes(directories, app).map_err(|error| unread(&error))?;
    let changed = apply(&mut changes)?;
    if changed {
        choice::change(directories, app, &changes).map_err(|error| {
            let hint = "see HOSTCTL_STATE_DIR for keeping state elsewhere";
            Error::Refused(error.to_string(), hint.into(), CANT_CREATE)
        })?;
    }
    ui.say(if changed { &done } else { &so_already });
    Ok(ExitCode::SUCCESS)
}

fn planned(entry: &SinkEntry) -> Result<PlannedSink, Error> {
    let sink = entry.sink().map_err(|EntryError { message, hint }| {
        Error::Usage(
            message,
            hint.unwrap_or_else(|| "docs/logs.md lists the kinds of sinks".into()),
        )
    })?;
    Ok(PlannedSink::new(&sink, std::path::Path::new("/")))
}

fn unread(error: &std::io::Error) -> Error {
    let hint = "it is hostctl's user's to read: run this as that user";
    Error::Refused(format!("sinks.json can't be read: {error}"), hint.into(), DATA)
}

fn as_json(value: &impl Serialize) -> String {
    // Text and numbers, which always have a JSON form.
    serde_json::to_string_pretty(value).unwrap_or_default()
}
