//! Staying until something that hostd was told has come to be, and saying what happens meanwhile.
//!
//! Invariant: what ends the wait is how things stand, asked after each event, so an event that was
//! missed (hostd was started anew) only delays it. Ending the wait changes nothing.

mod judgement;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use agent::failure::Error;
use host_sys::signal::number;
use manifest_spec::api::{AppStatus, Event, EventKind};
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::lines::Lines;
use crate::client::{self, Client, app_path};
use crate::signals::Arriving;
use crate::ui::Ui;
use crate::words;

pub use judgement::Goal;
use judgement::{Progress, judge};

/// How often hostd is looked for when it has gone.
const AGAIN: Duration = Duration::from_millis(200);

/// Last lines of a program that are shown when it failed.
const LINES: usize = 10;

/// Follow an app until the goal is reached, can't be, or the time is over.
pub async fn wait(
    client: Client,
    app: &str,
    seq: u64,
    goal: Goal,
    limit: Duration,
    ui: &Ui,
) -> Result<ExitCode, Error> {
    let mut signals = Arriving::take(&[number::INT, number::TERM, number::HUP])?;
    let mut waiting =
        Waiting { app, seq, goal, ui, started: BTreeMap::new(), decided: false, last: Vec::new() };
    tokio::select! {
        result = timeout_at(Instant::now() + limit, waiting.run(client)) => match result {
            Ok(result) => result,
            Err(_) => Err(too_late(app, goal, limit)),
        },
        number = signals.next() => {
            ui.say(&format!("{app}: what was begun goes on; `hostctl events {app} -f` shows it"));
            Ok(ExitCode::from(128 + number as u8))
        }
    }
}

fn too_late(app: &str, goal: Goal, limit: Duration) -> Error {
    let limit = words::span(limit.as_millis() as u64);
    let message = match goal {
        Goal::Version(version) => {
            format!("version {version} does not serve after {limit}; its rollout goes on")
        }
        Goal::Serving => format!("not all of it serves after {limit}; hostd goes on trying"),
        Goal::Stopped | Goal::Gone => format!("it still runs after {limit}; stopping goes on"),
    };
    let hint = format!("`hostctl status {app}` tells what is waited for");
    Error::Missed(format!("{app}: {message}"), hint)
}

struct Waiting<'a> {
    app: &'a str,
    /// The next event that was not seen yet.
    seq: u64,
    goal: Goal,
    ui: &'a Ui,
    /// When each instance was started.
    started: BTreeMap<String, u64>,
    /// The event that decides was said.
    decided: bool,
    /// What the version that is waited for said last; its instances may be gone when it is asked.
    last: Vec<String>,
}

impl Waiting<'_> {
    async fn run(&mut self, mut client: Client) -> Result<ExitCode, Error> {
        loop {
            // How things stand is asked on a connection of its own: the other one carries events.
            let mut asking = match client.again().await {
                Err(Error::Unreachable(..)) => {
                    client = self.reconnect(client).await;
                    continue;
                }
                asking => asking?,
            };
            let events = client.follow(&self.path()).await;
            let ended = match events {
                Ok(mut lines) => self.attend(&mut lines, &mut asking).await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(Some(code)) => return Ok(code),
                Ok(None) | Err(Error::Unreachable(..)) => {}
                Err(error) => return Err(error),
            }
            client = self.reconnect(asking).await;
        }
    }

    fn path(&self) -> String {
        let app = app_path(self.app);
        let name = app.rsplit('/').next().unwrap_or_default();
        format!("/v1/events?follow=true&since={}&app={name}", self.seq)
    }

    /// hostd is started anew, maybe; the time limit ends this if not.
    async fn reconnect(&self, old: Client) -> Client {
        loop {
            sleep(AGAIN).await;
            if let Ok(client) = old.again().await {
                return client;
            }
        }
    }

    /// Events until the end; `None` when hostd has gone.
    async fn attend(
        &mut self,
        lines: &mut Lines,
        asking: &mut Client,
    ) -> Result<Option<ExitCode>, Error> {
        let mut ask = true;
        loop {
            if ask {
                match self.progress(asking).await? {
                    Progress::Pending | Progress::Superseded => {}
                    Progress::Reached => {
                        self.rest(lines).await?;
                        return Ok(Some(ExitCode::SUCCESS));
                    }
                    Progress::Failed(reason) => {
                        self.rest(lines).await?;
                        return Err(self.failed(&reason));
                    }
                }
            }
            let Some(line) = lines.next().await? else { return Ok(None) };
            ask = self.take(&line);
        }
    }

    /// What had happened by now and was not said yet.
    async fn rest(&mut self, lines: &mut Lines) -> Result<(), Error> {
        if self.decided {
            return Ok(());
        }
        // Events are on their way before the state they tell of can be asked.
        let end = Instant::now() + Duration::from_millis(20);
        while let Ok(line) = timeout_at(end, lines.next()).await {
            match line? {
                Some(line) => drop(self.take(&line)),
                None => break,
            }
        }
        Ok(())
    }

    /// Say what happened; whether it can have decided anything.
    fn take(&mut self, line: &[u8]) -> bool {
        // An event of a later hostd may be unreadable, and then the state tells.
        let Ok(event) = serde_json::from_slice::<Event>(line) else { return true };
        self.seq = self.seq.max(event.seq + 1);
        if event.app.as_deref().is_some_and(|app| app != self.app) {
            return false;
        }
        if let (EventKind::Started, Some(name)) = (event.kind, &event.instance) {
            self.started.insert(name.clone(), event.at_ms);
        }
        let last = matches!(event.kind, EventKind::Promoted | EventKind::RolledBack);
        self.decided |= last && self.goal == Goal::Version(event.version.unwrap_or_default());
        if let Some(text) = self.said(&event) {
            self.ui.say(&text);
        }
        !matches!(event.kind, EventKind::Started | EventKind::Progress | EventKind::Deployed)
    }

    fn said(&self, event: &Event) -> Option<String> {
        let Some(instance) = &event.instance else {
            let told = !matches!(event.kind, EventKind::Deployed);
            return told.then(|| format!("{}: {}", self.app, event.text));
        };
        let name = instance.strip_prefix(self.app).and_then(|rest| rest.strip_prefix('.'));
        let name = name.unwrap_or(instance);
        let text = match (event.kind, self.started.get(instance)) {
            (EventKind::Started, _) => "started".to_owned(),
            (EventKind::Ready, Some(then)) => {
                format!("ready after {}", words::span(event.at_ms.saturating_sub(*then)))
            }
            _ => event.text.clone(),
        };
        Some(format!("{}: {name} {text}", self.app))
    }

    async fn progress(&mut self, asking: &mut Client) -> Result<Progress, Error> {
        let status: AppStatus = match asking.get(&app_path(self.app)).await {
            Ok(answer) => answer.read()?,
            Err(error) if client::is_unknown(&error) && self.goal == Goal::Gone => {
                return Ok(Progress::Reached);
            }
            Err(error) => return Err(error),
        };
        let last = judgement::last_lines(self.goal, &status);
        if !last.is_empty() {
            self.last = last;
        }
        match (judge(self.goal, &status), self.goal) {
            (Progress::Superseded, Goal::Version(version)) => {
                let path = format!("{}/history", app_path(self.app));
                Ok(judgement::became(version, &asking.get(&path).await?.read()?))
            }
            (progress, _) => Ok(progress),
        }
    }

    fn failed(&self, reason: &str) -> Error {
        let app = self.app;
        let mut message = format!("{app}: {reason}");
        let first = self.last.len().saturating_sub(LINES);
        message.extend(self.last[first..].iter().map(|line| format!("\n  | {line}")));
        Error::Missed(message, format!("`hostctl status {app}` shows how it stands"))
    }
}
