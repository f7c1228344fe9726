//! `hostctl status`: everything about an app.

use std::process::ExitCode;

use agent::failure::{Error, FAILED};
use manifest_spec::api::{
    AppStatus, InstanceState, InstanceStatus, LogFlow, PortStatus, ServiceStatus, Usage, Wanted,
};

use super::now_ms;
use super::ps;
use crate::board::{self, Look, Tone};
use crate::cli::apps::StatusArguments;
use crate::client::{self, Client, Place, app_path};
use crate::commands::plan::page::one_line;
use crate::ui::Ui;
use crate::words;

pub fn status(arguments: &StatusArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    client::run(async {
        let answer = Client::open(place).await?.get(&app_path(&arguments.app)).await?;
        let status: AppStatus = answer.read()?;
        match arguments.json {
            true => ui.answer(&answer.json())?,
            false => ui.answer(&page(&status, now_ms(), ui.look()))?,
        }
        let well = status.wanted != Wanted::Running || serves(&status);
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    })
}

/// Whether all that should run does its work, and nothing else is there.
pub fn serves(status: &AppStatus) -> bool {
    status.rollout.is_none()
        && status.services.iter().all(|service| {
            service.instances.len() == service.count as usize && service.instances.iter().all(does)
        })
}

/// Whether an instance does its work.
pub fn does(one: &InstanceStatus) -> bool {
    matches!(one.state, InstanceState::Ready | InstanceState::Running)
}

fn page(status: &AppStatus, now: u64, look: Look) -> String {
    let mut text = String::new();
    let version = status.version.map_or(String::new(), |version| format!(", version {version}"));
    let name = Tone::Strong.paint(&one_line(&status.app), look.colour);
    text.push_str(&format!("{name}: {}{version}\n", board::wanted(status.wanted)));
    if let Some(rollout) = &status.rollout {
        let since = words::since(rollout.since_ms, now);
        let waits = rollout.waiting_for.as_ref();
        let waits = waits.map_or(String::new(), |what| format!(", waits for {what}"));
        text.push_str(&line("rollout", &format!("of version {} since {since}{waits}", rollout.to)));
    }
    if let Some(failure) = &status.last_failure {
        let ago = words::ago(failure.at_ms, now);
        let what = format!("version {}, {ago}: {}", failure.version, failure.reason);
        text.push_str(&line("failed", &what));
        text.push_str(&said_last(&failure.last_lines));
    }
    for service in &status.services {
        text.push('\n');
        text.push_str(&service_page(service, now, look));
    }
    text
}

/// A label and what belongs to it.
fn line(label: &str, text: &str) -> String {
    format!("  {label:<9} {}\n", one_line(text))
}

fn service_page(service: &ServiceStatus, now: u64, look: Look) -> String {
    let serve = service.instances.iter().filter(|one| does(one));
    let name = Tone::Strong.paint(&one_line(&service.name), look.colour);
    let mut text = format!("{name}: {} of {} serve", serve.count(), service.count);
    if !service.needs.is_empty() {
        text.push_str(&format!(", needs {}", one_line(&service.needs.join(", "))));
    }
    text.push('\n');
    if !service.ports.is_empty() {
        text.push_str(&line("ports", &ports(&service.ports)));
    }
    for instance in &service.instances {
        text.push_str(&instance_page(instance, now, look));
    }
    text
}

fn ports(all: &[PortStatus]) -> String {
    let one = |port: &PortStatus| {
        let activated = if port.activate { ", handed over as a socket" } else { "" };
        format!("{}{activated}", ps::ports(std::slice::from_ref(port)))
    };
    all.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn instance_page(one: &InstanceStatus, now: u64, look: Look) -> String {
    let (word, tone) = board::state_in_words(one.state);
    let state = tone.paint(word, look.colour);
    let since = words::since(one.since_ms, now);
    let mut text = format!("  {}  {state} for {since}", one_line(&one.name));
    text.push_str(&format!(", version {}", one.version));
    if let Some(pid) = one.pid {
        text.push_str(&format!(", up {}, pid {pid}", ps::up(one, now)));
    }
    if one.restarts > 0 {
        text.push_str(&format!(", {}", words::count(one.restarts, "restart")));
    }
    text.push('\n');
    let mut say = |label: &str, what: &str| text.push_str(&format!("  {}", line(label, what)));
    if let Some(reason) = &one.reason {
        say("reason", reason);
    }
    if let Some(denied) = &one.denied {
        say("denied", denied);
    }
    if let Some(next) = one.next_try_ms {
        let wait = next.saturating_sub(now);
        let failures = words::count(one.failures, "failure");
        say("next try", &format!("in {}, after {failures} in a row", words::span(wait)));
    }
    if !one.ports.is_empty() {
        say("ports", &ps::ports(&one.ports));
    }
    for (label, what) in one.usage.as_ref().map(used).unwrap_or_default() {
        say(label, &what);
    }
    if let Some(log) = &one.log {
        say("log", &logged(log));
    }
    for said in said_last(&one.last_lines).lines() {
        text.push_str(&format!("  {said}\n"));
    }
    text
}

/// The last lines of a program.
fn said_last(lines: &[String]) -> String {
    let label = |index| if index == 0 { "said last" } else { "" };
    let lines = lines.iter().enumerate();
    lines.map(|(index, last)| line(label(index), &format!("| {last}"))).collect()
}

/// How its log does: what is well in a few words, what is not in more.
fn logged(log: &LogFlow) -> String {
    let mut text = match log.lines {
        1 => "1 line".to_owned(),
        lines => format!("{lines} lines"),
    };
    if log.dropped > 0 {
        text.push_str(&format!(", {} lost", log.dropped));
    }
    if log.stalled_ms > 0 {
        text.push_str(&format!(", waited {} for its log", words::span(log.stalled_ms)));
    }
    if log.sinks_down > 0 {
        let what = words::count(log.sinks, "sink");
        text.push_str(&format!(", {} of {what} down", log.sinks_down));
    }
    text
}

/// What an instance uses up, with its limits.
fn used(usage: &Usage) -> Vec<(&'static str, String)> {
    let about = |number: String| ps::about(Some(usage), number);
    let mut lines = Vec::new();
    if usage.memory_bytes.is_some() {
        let limit =
            usage.memory_limit.map_or(String::new(), |limit| format!(" of {}", words::size(limit)));
        lines.push(("memory", format!("{}{limit}", ps::memory(Some(usage)))));
    }
    if let Some(usec) = usage.cpu_usec {
        let limit = usage
            .cpu_limit_percent
            .map_or(String::new(), |limit| format!(", at most {limit} % of a processor"));
        lines.push(("cpu time", format!("{}{limit}", about(words::span(usec / 1000)))));
    }
    if let Some(count) = usage.processes {
        let limit = usage.processes_limit.map_or(String::new(), |limit| format!(" of {limit}"));
        lines.push(("processes", format!("{}{limit}", about(count.to_string()))));
    }
    if let (Some(read), Some(written)) = (usage.io_read_bytes, usage.io_written_bytes) {
        let (read, written) = (words::size(read), words::size(written));
        lines.push(("disk", format!("{read} read, {written} written")));
    }
    if let Some(pressure) = usage.pressure {
        let what = format!(
            "waits for a processor {:.1} %, for memory {:.1} %, for a disk {:.1} % of the time",
            pressure.cpu, pressure.memory, pressure.io
        );
        lines.push(("pressure", what));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> AppStatus {
        serde_json::from_str(include_str!("ps/example.json")).unwrap()
    }

    #[test]
    fn a_page_is_the_golden_file() {
        let page = page(&example(), 1_000_000_000, Look::default());
        crate::golden::check("status/example.txt", &page);
    }

    #[test]
    fn an_app_serves_when_all_of_it_does_and_nothing_else_is_there() {
        let mut status = example();
        assert!(!serves(&status));
        status.rollout = None;
        assert!(!serves(&status));
        status.services[1].instances[1].state = InstanceState::Ready;
        assert!(serves(&status));
        status.services[1].count = 1;
        assert!(!serves(&status));
    }
}
