//! `hostctl top`: what instances use up, drawn anew every second.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use agent::failure::Error;
use host_sys::signal::number;
use manifest_spec::api::{AppStatus, InstanceStatus};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::now_ms;
use super::ps;
use crate::board::{self, Cell, Look};
use crate::cli::apps::TopArguments;
use crate::client::{self, Client, Place};
use crate::commands::plan::page::terminal_width;
use crate::signals::Arriving;
use crate::ui::Ui;
use crate::ui::screen::Screen;
use crate::words;

/// Between two pages.
const EVERY: Duration = Duration::from_secs(1);

/// Between the two looks that the first page is made of.
const FIRST: Duration = Duration::from_millis(200);

pub fn top(arguments: &TopArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let app = arguments.app.as_deref();
    client::run(async {
        let mut client = Client::open(place).await?;
        let mut before = look(&mut client, app).await?;
        sleep(FIRST).await;
        if !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
            let now = look(&mut client, app).await?;
            ui.answer(&page(&before, &now, ui.look()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut signals = Arriving::take(&[number::WINCH, number::INT, number::TERM, number::HUP])?;
        let mut keys = keys();
        let screen = Screen::take()?;
        loop {
            let now = look(&mut client, app).await?;
            let shown = Look { width: terminal_width(), ..ui.look() };
            screen.draw(&page(&before, &now, shown));
            before = now;
            match pause(&mut signals, &mut keys).await? {
                Pause::Over => {}
                Pause::Enough => return Ok(ExitCode::SUCCESS),
            }
        }
    })
}

/// What comes after a page.
pub(super) enum Pause {
    /// The next one.
    Over,
    /// Nothing.
    Enough,
}

/// Wait for the next page, or for somebody who has seen enough.
pub(super) async fn pause(
    signals: &mut Arriving,
    keys: &mut mpsc::Receiver<u8>,
) -> Result<Pause, Error> {
    let end = Instant::now() + EVERY;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(end) => return Ok(Pause::Over),
            key = keys.recv() => match key {
                // q, Ctrl-C, Ctrl-D; or the terminal is gone.
                Some(b'q' | b'Q' | 3 | 4) | None => return Ok(Pause::Enough),
                Some(_) => {}
            },
            number = signals.next() => match number {
                number::WINCH => return Ok(Pause::Over),
                _ => return Ok(Pause::Enough),
            },
        }
    }
}

/// Keys as they are typed. A thread reads them: not every terminal can be waited for otherwise.
pub(super) fn keys() -> mpsc::Receiver<u8> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        let [input, ..] = host_sys::file::standard();
        let mut key = [0];
        while let Ok(1) = host_sys::file::read(input, &mut key) {
            if sender.blocking_send(key[0]).is_err() {
                return;
            }
        }
    });
    receiver
}

/// How things stood at one instant.
struct Moment {
    at: Instant,
    apps: Vec<AppStatus>,
}

async fn look(client: &mut Client, app: Option<&str>) -> Result<Moment, Error> {
    Ok(Moment { apps: ps::statuses(client, app).await?, at: Instant::now() })
}

const HEAD: [&str; 8] = ["NAME", "STATE", "UP", "CPU", "MEMORY", "TASKS", "LINES/S", "WAITS %"];

/// The share of time in which some task waits for that; the column that gives way on a narrow terminal.
const WAITS: usize = 7;

fn page(before: &Moment, now: &Moment, look: Look) -> String {
    let ms = now.at.duration_since(before.at).as_millis() as u64;
    let known: BTreeMap<&str, &InstanceStatus> =
        instances(&before.apps).map(|one| (one.name.as_str(), one)).collect();
    let mut rows: Vec<(u64, Vec<Cell>)> = instances(&now.apps)
        .map(|one| {
            let old = known.get(one.name.as_str()).copied();
            let since = |number: fn(&InstanceStatus) -> Option<u64>| {
                Some(number(one)?.saturating_sub(old.and_then(number)?))
            };
            let spent = since(|one| one.usage.as_ref()?.cpu_usec);
            let lines = since(|one| Some(one.log.as_ref()?.lines));
            (spent.unwrap_or_default(), row(one, spent, lines, ms))
        })
        .collect();
    // Who works most comes first; else the order stays.
    rows.sort_by_key(|(spent, _)| std::cmp::Reverse(*spent));
    let rows: Vec<Vec<Cell>> = rows.into_iter().map(|(_, row)| row).collect();
    board::table(&HEAD, &rows, WAITS, look)
}

fn instances(apps: &[AppStatus]) -> impl Iterator<Item = &InstanceStatus> {
    apps.iter().flat_map(|app| &app.services).flat_map(|service| &service.instances)
}

fn row(one: &InstanceStatus, spent: Option<u64>, lines: Option<u64>, ms: u64) -> Vec<Cell> {
    let usage = one.usage.as_ref();
    let cpu = spent.map_or("-".to_owned(), |usec| ps::about(usage, words::share(usec, ms)));
    let processes = usage.and_then(|usage| usage.processes);
    let processes = processes.map_or("-".to_owned(), |count| ps::about(usage, count.to_string()));
    let pressure = usage.and_then(|usage| usage.pressure);
    let waits = pressure.map_or("-".to_owned(), |one| {
        format!("cpu {:.0}, memory {:.0}, disk {:.0}", one.cpu, one.memory, one.io)
    });
    vec![
        one.name.clone().into(),
        board::state(one.state),
        Cell::number(ps::up(one, now_ms())),
        Cell::number(cpu),
        Cell::number(ps::memory(usage)),
        Cell::number(processes),
        Cell::number(lines.map_or("-".to_owned(), |lines| (lines * 1000 / ms.max(1)).to_string())),
        waits.into(),
    ]
}
