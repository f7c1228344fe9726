//! `hostctl run` of an app with several services, or several instances of one: all in the
//! foreground, supervised as hostd would, their lines side by side.

use std::process::ExitCode;

use agent::daemon::front::{Crew, End, Shown};
use agent::failure::{Error, FAILED, NOT_PERMITTED};
use agent::planning::Source;
use manifest_spec::Manifest;
use manifest_spec::api::EventKind;

use crate::board::COLOURS;
use crate::cli::RunArguments;
use crate::commands::load::{self, Text};
use crate::ui::Ui;

/// Whether the app is more than one program.
pub fn is_meant(manifest: &Manifest) -> bool {
    let count: u32 = manifest.services.iter().map(|service| service.count.unwrap_or(1)).sum();
    count > 1
}

/// Run all of it.
pub fn run(
    text: &Text,
    arguments: &RunArguments,
    automatic_offset: bool,
    ui: &Ui,
) -> Result<ExitCode, Error> {
    if arguments.interactive {
        let message = "--interactive is for one program, and the app has several".to_owned();
        return Err(Error::Usage(message, "add --service NAME to run one of them".into()));
    }
    let source = Source {
        name: text.name.clone(),
        text: text.text.clone(),
        folder: text.folder.clone(),
        overrides: load::overrides(&arguments.manifest)?,
    };
    let crew = Crew::new(source, automatic_offset, arguments.allow_unenforced)?;
    if arguments.host.strict {
        refuse_unenforced(&crew)?;
    }
    let names: Vec<String> = crew.services().iter().map(|service| service.name.clone()).collect();
    if !arguments.quiet {
        announce(&crew, automatic_offset, ui);
    }
    let quiet = arguments.quiet;
    let mut show = |shown| match shown {
        Shown::Line { service, number, error, bytes } => {
            let colour = names.iter().position(|name| *name == service).unwrap_or_default();
            let label = match crew_count(number) {
                None => service,
                Some(number) => format!("{service}.{number}"),
            };
            ui.line_of(&label, width(&names), COLOURS[colour % COLOURS.len()], &bytes, error);
        }
        Shown::Event(event) if !quiet => {
            let who = match (&event.service, &event.instance) {
                (Some(service), Some(_)) => service.clone(),
                _ => event.app.clone().unwrap_or_default(),
            };
            if event.kind != EventKind::Promoted {
                ui.say(&format!("{who}: {}", event.text));
            }
        }
        Shown::Event(_) => {}
    };
    match crew.run(&mut show)? {
        End::Asked => Ok(ExitCode::SUCCESS),
        End::Failed(reason) => {
            ui.say(&format!("everything was stopped, because {reason}"));
            Ok(ExitCode::from(FAILED))
        }
    }
}

/// Only second and further instances are told apart by their number.
fn crew_count(number: u32) -> Option<u32> {
    (number > 1).then_some(number)
}

fn width(names: &[String]) -> usize {
    names.iter().map(String::len).max().unwrap_or_default()
}

fn refuse_unenforced(crew: &Crew) -> Result<(), Error> {
    let lines: Vec<String> = crew
        .services()
        .iter()
        .flat_map(|service| service.strictly_unenforced.iter().map(|one| (&service.name, one)))
        .map(|(name, one)| format!("  {name}: {one}"))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(
        format!("--strict: this can't be enforced here:\n{}", lines.join("\n")),
        "leave out --strict to run all the same".to_owned(),
        NOT_PERMITTED,
    ))
}

/// What does not hold here, the offset that was found, and where services answer.
fn announce(crew: &Crew, automatic_offset: bool, ui: &Ui) {
    for service in crew.services() {
        for one in &service.unenforced {
            ui.say(&format!("{}: not enforced: {one}", service.name));
        }
    }
    if automatic_offset {
        let (app, offset) = (crew.name(), crew.port_offset());
        ui.say(&format!("{app}: port offset {offset}, the smallest that is free"));
    }
    for service in crew.services() {
        let port = service.ports.iter().find(|port| port.name.is_none());
        match port.filter(|_| service.count == 1) {
            Some(port) => ui.say(&format!("{}: starting on port {}", service.name, port.number)),
            None => ui.say(&format!("{}: starting", service.name)),
        }
    }
}
