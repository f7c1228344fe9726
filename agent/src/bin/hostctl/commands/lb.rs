//! `hostctl lb`: the load balancer, its services and their backends.

use std::io::IsTerminal;
use std::process::ExitCode;

use agent::failure::Error;
use host_sys::signal::number;
use manifest_spec::api::{
    Changed, LbAddRequest, LbBackend, LbDrainRequest, LbList, LbPlace, LbPolicyRequest,
    LbRemoveRequest, LbService, LbState, LbWeightRequest,
};
use serde::Serialize;

use super::top::{Pause, keys, pause};
use crate::board::{self, Cell, Look, Tone};
use crate::cli::lb::{LbArguments, LbCommand};
use crate::client::{self, Client, Place, encoded};
use crate::commands::plan::page::terminal_width;
use crate::signals::Arriving;
use crate::ui::Ui;
use crate::ui::screen::Screen;

pub fn lb(arguments: LbArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let command = arguments.command.unwrap_or(LbCommand::Ls { json: arguments.json });
    match command {
        LbCommand::Ls { json } => show(place, None, json, services, ui),
        LbCommand::Show { name, json } => show(place, Some(&name), json, backends, ui),
        LbCommand::Watch { name } => watch(place, name.as_deref(), ui),
        LbCommand::Add { name, address, weight, listen, json } => {
            let told = format!("{name} has the backend {address}");
            let request = LbAddRequest { name, address, weight, listen };
            change(place, "add", &request, &told, json, ui)
        }
        LbCommand::Remove { name, backend, json } => {
            let told = match &backend {
                Some(backend) => format!("{name} has no backend {backend} any more"),
                None => format!("there is no service {name} any more"),
            };
            change(place, "remove", &LbRemoveRequest { name, backend }, &told, json, ui)
        }
        LbCommand::Weight { name, backend, weight, json } => {
            let told = format!("{backend} weighs {weight}");
            change(place, "weight", &LbWeightRequest { name, backend, weight }, &told, json, ui)
        }
        LbCommand::Drain { name, backend, back, json } => {
            let told = match back {
                true => format!("{backend} gets new connections again"),
                false => format!("{backend} gets no new connections"),
            };
            change(place, "drain", &LbDrainRequest { name, backend, back }, &told, json, ui)
        }
        LbCommand::Policy { name, policy, version, share, json } => {
            let told = match &policy {
                Some(policy) => format!("{name} goes by {policy}"),
                None => format!("{name} goes by its manifest"),
            };
            let request = LbPolicyRequest { name, policy, version, share };
            change(place, "policy", &request, &told, json, ui)
        }
    }
}

fn change(
    place: &Place,
    what: &str,
    request: &impl Serialize,
    told: &str,
    json: bool,
    ui: &Ui,
) -> Result<ExitCode, Error> {
    let path = format!("/v1/lb/{what}");
    let answer = client::run(async { Client::open(place).await?.post(&path, request).await })?;
    let changed: Changed = answer.read()?;
    match json {
        true => ui.answer(&answer.json())?,
        false if changed.unchanged => ui.say(&format!("{told} already")),
        false => ui.say(told),
    }
    Ok(ExitCode::SUCCESS)
}

fn show(
    place: &Place,
    name: Option<&str>,
    json: bool,
    page: fn(&LbList, Look) -> String,
    ui: &Ui,
) -> Result<ExitCode, Error> {
    let answer = client::run(async { Client::open(place).await?.get(&path(name)).await })?;
    let list: LbList = answer.read()?;
    match (json, list.services.is_empty()) {
        (true, _) => ui.answer(&answer.json())?,
        (false, true) => ui.say("no service is balanced; deploy an app with a port"),
        (false, false) => ui.answer(&page(&list, ui.look()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn watch(place: &Place, name: Option<&str>, ui: &Ui) -> Result<ExitCode, Error> {
    if !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        return show(place, name, false, backends, ui);
    }
    client::run(async {
        let mut client = Client::open(place).await?;
        let mut signals = Arriving::take(&[number::WINCH, number::INT, number::TERM, number::HUP])?;
        let mut keys = keys();
        let list: LbList = client.get(&path(name)).await?.read()?;
        let screen = Screen::take()?;
        let mut list = list;
        loop {
            let shown = Look { width: terminal_width(), ..ui.look() };
            screen.draw(&backends(&list, shown));
            match pause(&mut signals, &mut keys).await? {
                Pause::Over => {}
                Pause::Enough => return Ok(ExitCode::SUCCESS),
            }
            list = client.get(&path(name)).await?.read()?;
        }
    })
}

fn path(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("/v1/lb?name={}", encoded(name)),
        None => "/v1/lb".to_owned(),
    }
}

/// The column that gives way on a narrow terminal.
const FOUND: usize = 1;

fn services(list: &LbList, look: Look) -> String {
    let head = ["SERVICE", "FOUND AT", "POLICY", "SERVING", "CONNECTIONS", "HELD BY"];
    let row = |service: &LbService| {
        let serving = service.backends.iter().filter(|one| one.state == LbState::Serving).count();
        let tone = if serving == 0 { Tone::Bad } else { Tone::Good };
        let found: Vec<String> = service.found_at.iter().map(found).collect();
        vec![
            service.name.clone().into(),
            found.join(", ").into(),
            policy(service).into(),
            Cell::toned(format!("{serving} of {}", service.backends.len()), tone),
            Cell::number(connections(service.backends.iter().map(|one| one.connections))),
            service.holder.clone().into(),
        ]
    };
    let rows: Vec<_> = list.services.iter().map(row).collect();
    board::table(&head, &rows, FOUND, look)
}

fn backends(list: &LbList, look: Look) -> String {
    let head =
        ["SERVICE", "BACKEND", "ADDRESS", "STATE", "WEIGHT", "SHARE", "CONNECTIONS", "VERSION"];
    let of = |service: &LbService| {
        let name = service.name.clone();
        service.backends.iter().map(move |one| row(&name, one)).collect::<Vec<_>>()
    };
    let rows: Vec<_> = list.services.iter().flat_map(of).collect();
    board::table(&head, &rows, FOUND, look)
}

fn row(service: &str, backend: &LbBackend) -> Vec<Cell> {
    let (word, tone) = match backend.state {
        LbState::Serving => ("serving", Tone::Good),
        LbState::Registered => ("registered", Tone::Moving),
        LbState::Draining => ("draining", Tone::Moving),
        LbState::Down => ("down", Tone::Bad),
    };
    let added = if backend.added { " (added)" } else { "" };
    vec![
        service.into(),
        format!("{}{added}", backend.id).into(),
        backend.address.clone().into(),
        Cell::toned(word, tone),
        Cell::number(backend.weight.to_string()),
        Cell::number(format!("{}%", backend.share)),
        Cell::number(connections([backend.connections].into_iter())),
        backend.version.clone().unwrap_or_default().into(),
    ]
}

fn policy(service: &LbService) -> String {
    let mut text = service.policy.clone();
    if let (Some(version), Some(share)) = (&service.canary_version, service.canary_share) {
        text = format!("{text}: {share}% to version {version}");
    }
    if let Some(seconds) = service.affinity_seconds {
        text = format!("{text}, clients stay {seconds} s");
    }
    text
}

fn connections(counts: impl Iterator<Item = Option<u64>>) -> String {
    let sum: Option<u64> = counts.sum();
    sum.map_or("-".to_owned(), |count| count.to_string())
}

fn found(place: &LbPlace) -> String {
    let LbPlace { address, port, protocol } = place;
    match address.as_deref() {
        None => format!("{port}/{protocol}"),
        Some(address) if address.contains(':') => format!("[{address}]:{port}/{protocol}"),
        Some(address) => format!("{address}:{port}/{protocol}"),
    }
}
