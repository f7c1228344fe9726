//! `hostctl ps`: every instance in a line.

use std::process::ExitCode;

use agent::failure::Error;
use manifest_spec::api::{AppList, AppStatus, InstanceStatus, PortStatus, Usage, Wanted};

use super::now_ms;
use crate::board::{self, Cell, Look, Tone};
use crate::cli::apps::PsArguments;
use crate::client::{self, Client, Place, app_path};
use crate::ui::Ui;
use crate::words;

pub fn ps(arguments: &PsArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    client::run(async {
        let mut client = Client::open(place).await?;
        if arguments.json {
            let path = arguments.app.as_deref().map_or("/v1/apps".to_owned(), app_path);
            ui.answer(&client.get(&path).await?.json())?;
            return Ok(ExitCode::SUCCESS);
        }
        let apps = statuses(&mut client, arguments.app.as_deref()).await?;
        match apps.is_empty() {
            true => ui.say("nothing is deployed; `hostctl deploy app.toml` does that"),
            false => ui.answer(&page(&apps, now_ms(), ui.look()))?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// How one app stands, or every one.
pub async fn statuses(client: &mut Client, app: Option<&str>) -> Result<Vec<AppStatus>, Error> {
    if let Some(app) = app {
        return Ok(vec![client.get(&app_path(app)).await?.read()?]);
    }
    let list: AppList = client.get("/v1/apps").await?.read()?;
    let mut statuses = Vec::new();
    for summary in list.apps {
        match client.get(&app_path(&summary.app)).await {
            Ok(answer) => statuses.push(answer.read()?),
            // It was removed since it was listed.
            Err(error) if client::is_unknown(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(statuses)
}

const HEAD: [&str; 8] = ["NAME", "STATE", "VERSION", "UP", "PORTS", "CPU", "MEMORY", "RESTARTS"];

/// The column that gives way on a narrow terminal.
const PORTS: usize = 4;

fn page(apps: &[AppStatus], now: u64, look: Look) -> String {
    let rows: Vec<Vec<Cell>> = apps.iter().flat_map(|app| rows(app, now)).collect();
    board::table(&HEAD, &rows, PORTS, look)
}

fn rows(app: &AppStatus, now: u64) -> Vec<Vec<Cell>> {
    let instances: Vec<_> = app.services.iter().flat_map(|service| &service.instances).collect();
    if instances.is_empty() {
        return vec![empty(app)];
    }
    instances.into_iter().map(|one| row(one, now)).collect()
}

/// An app of which nothing is there.
fn empty(app: &AppStatus) -> Vec<Cell> {
    let tone = if app.wanted == Wanted::Running { Tone::Moving } else { Tone::Faint };
    let word = match app.wanted {
        Wanted::Running => "waiting",
        wanted => board::wanted(wanted),
    };
    let version = app.version.map_or("-".to_owned(), |version| version.to_string());
    let mut row = vec![app.app.clone().into(), Cell::toned(word, tone), Cell::number(version)];
    row.extend([Cell::number("-"), "-".into()]);
    row.extend([(); 3].map(|()| Cell::number("-")));
    row
}

fn row(one: &InstanceStatus, now: u64) -> Vec<Cell> {
    let usage = one.usage.as_ref();
    let cpu = usage.and_then(|usage| usage.cpu_usec).map(|usec| words::span(usec / 1000));
    vec![
        one.name.clone().into(),
        board::state(one.state),
        Cell::number(one.version.to_string()),
        Cell::number(up(one, now)),
        ports(&one.ports).into(),
        Cell::number(cpu.map_or("-".into(), |cpu| about(usage, cpu))),
        Cell::number(memory(usage)),
        Cell::number(one.restarts.to_string()),
    ]
}

/// How long its program has been running.
pub fn up(one: &InstanceStatus, now: u64) -> String {
    one.started_ms.map_or("-".to_owned(), |then| words::since(then, now))
}

/// A number that was added up process by process, with a sign that it is one.
pub fn about(usage: Option<&Usage>, number: String) -> String {
    match usage {
        Some(usage) if !usage.exact => format!("~{number}"),
        _ => number,
    }
}

/// The memory in use.
pub fn memory(usage: Option<&Usage>) -> String {
    let bytes = usage.and_then(|usage| usage.memory_bytes);
    bytes.map_or("-".into(), |bytes| about(usage, words::size(bytes)))
}

/// Ports as they are reached: the main one first, the others with their names.
pub fn ports(ports: &[PortStatus]) -> String {
    let one = |port: &PortStatus| {
        let address = port.address.as_deref().filter(|address| !is_any(address));
        let address = address.map_or(String::new(), |address| match address.contains(':') {
            true => format!("[{address}]:"),
            false => format!("{address}:"),
        });
        let protocol = if port.protocol == "udp" { "/udp" } else { "" };
        let name = port.name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
        format!("{address}{}{protocol}{name}", port.port)
    };
    match ports {
        [] => "-".to_owned(),
        ports => ports.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

fn is_any(address: &str) -> bool {
    matches!(address, "0.0.0.0" | "::")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An app as hostd tells it.
    pub fn example() -> AppStatus {
        let text = include_str!("ps/example.json");
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_page_is_the_golden_file() {
        let mut stopped = example();
        stopped.app = "forum".into();
        stopped.wanted = Wanted::Stopped;
        stopped.services.clear();
        let page = page(&[stopped, example()], 1_000_000_000, Look::default());
        crate::golden::check("ps/example.txt", &page);
    }

    #[test]
    fn a_page_fits_its_terminal() {
        let look = Look { width: Some(80), colour: false };
        let page = page(&[example()], 1_000_000_000, look);
        assert!(page.lines().all(|line| line.chars().count() <= 80), "\n{page}");
    }
}
