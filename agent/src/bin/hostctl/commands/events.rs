//! `hostctl events`.

use std::process::ExitCode;

use agent::failure::Error;
use agent::lease::conflict::since;
use manifest_spec::api::{Event, EventKind};

use super::now_ms;
use crate::board::{Look, Tone};
use crate::cli::apps::EventsArguments;
use crate::client::{self, Client, Place, app_path};
use crate::commands::plan::page::one_line;
use crate::ui::Ui;

pub fn events(arguments: &EventsArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let EventsArguments { app, follow, since, json } = arguments;
    let mut path = format!("/v1/events?follow={follow}&since={since}");
    if let Some(app) = app {
        let app = app_path(app);
        path.push_str(&format!("&app={}", app.rsplit('/').next().unwrap_or_default()));
    }
    client::run(async {
        let mut lines = Client::open(place).await?.follow(&path).await?;
        while let Some(line) = lines.next().await? {
            let text = match json {
                true => format!("{}\n", String::from_utf8_lossy(&line)),
                false => shown(&line, ui.look()),
            };
            if !ui.stream(&text)? {
                break;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// An event as a line; one that can't be read as it came.
fn shown(line: &[u8], look: Look) -> String {
    match serde_json::from_slice::<Event>(line) {
        Ok(event) => told(&event, now_ms(), look),
        Err(_) => format!("{}\n", one_line(&String::from_utf8_lossy(line))),
    }
}

fn told(event: &Event, now: u64, look: Look) -> String {
    let time = since(event.at_ms as i64, now as i64);
    // A zone is away from the world's time by whole minutes.
    let second = event.at_ms / 1000 % 60;
    let about = event.instance.clone().or_else(|| match (&event.app, &event.service) {
        (Some(app), Some(service)) => Some(format!("{app}.{service}")),
        (app, _) => app.clone(),
    });
    let about = one_line(&about.unwrap_or_else(|| "host".to_owned()));
    let text = tone(event.kind).paint(&one_line(&event.text), look.colour);
    format!("{}  {about}: {text}\n", Tone::Faint.paint(&format!("{time}:{second:02}"), look.colour))
}

fn tone(kind: EventKind) -> Tone {
    match kind {
        EventKind::Ready | EventKind::Running | EventKind::Promoted => Tone::Good,
        EventKind::Unhealthy
        | EventKind::BackingOff
        | EventKind::Failed
        | EventKind::RolledBack
        | EventKind::Warning => Tone::Bad,
        EventKind::Deployed
        | EventKind::Scaled
        | EventKind::Removed
        | EventKind::Started
        | EventKind::Stopping
        | EventKind::Stopped
        | EventKind::Ended
        | EventKind::Adopted
        | EventKind::Progress
        | EventKind::Unknown => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_who_and_what() {
        let line = br#"{"seq":7,"at_ms":43000,"app":"shop","instance":"shop.web.1","kind":"ready","text":"ready\u001b[2J"}"#;
        let event: Event = serde_json::from_slice(line).unwrap();
        let text = told(&event, 50_000, Look::default());
        assert!(text.ends_with(":43  shop.web.1: ready\\u{1b}[2J\n"), "{text:?}");
        assert_eq!(shown(b"\x1bx", Look::default()), "\\u{1b}x\n");
    }
}
