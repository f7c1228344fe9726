//! Readiness, health and stopping: what they need of the service's other keys.

use crate::decode::{At, Field, Findings};
use crate::manifest::{Health, Probe, Protocol, Ready, ReadyBy, Stop};
use crate::raw::{RawHealth, RawPort, RawReady, RawService, RawStop};

pub(super) fn ready(
    at: &At<RawReady>,
    service: &RawService,
    findings: &mut Findings<'_>,
) -> Option<Ready> {
    let raw = &at.value;
    if let Field::Given(by) = &raw.by {
        let mut wrong = |message: &str, hint: &str| {
            findings.add(&by.place, by.key.clone(), message).hint(hint);
        };
        match by.value {
            ReadyBy::Health if service.health.is_absent() => {
                wrong("there is no health check to wait for", "add health = \"/up\"");
            }
            ReadyBy::Port if service.port.is_absent() => {
                wrong("there is no main port to wait for", "add port = 8080, or write \"notify\"");
            }
            ReadyBy::Port => match service.port.value() {
                Some(port) if is_udp(port) => {
                    wrong(
                        "a UDP port accepts nothing that could be waited for",
                        "write \"notify\"",
                    );
                }
                Some(port) if port.activate.value() == Some(&true) => wrong(
                    "a port that is handed over as a socket accepts before the program does",
                    "write \"notify\" or \"health\"",
                ),
                _ => {}
            },
            _ => {}
        }
    }
    let within = raw.within.value().copied();
    if let (Some(&ReadyBy::Up(up)), Field::Given(within)) = (raw.by.value(), &raw.within)
        && within.value <= up
    {
        let message = format!("it is ready after {up}, and given up after {}", within.value);
        findings
            .add(&within.place, within.key.clone(), message)
            .hint("give it more time, or drop within");
    }
    Some(Ready { by: raw.by.value().copied(), within })
}

fn is_udp(port: &RawPort) -> bool {
    port.protocol.value() == Some(&Protocol::Udp)
}

pub(super) fn stop(raw: &RawStop) -> Stop {
    Stop { signal: raw.signal.value().copied(), grace: raw.grace.value().copied() }
}

pub(super) fn health(
    at: &At<RawHealth>,
    service: &RawService,
    findings: &mut Findings<'_>,
) -> Option<Health> {
    let raw = &at.value;
    let tcp = match &raw.tcp {
        Field::Given(tcp) if !tcp.value => {
            findings
                .add(&tcp.place, tcp.key.clone(), "a check that is switched off")
                .hint("drop the key");
            return None;
        }
        Field::Given(_) => Some(Probe::Tcp),
        Field::Absent | Field::Invalid => None,
    };
    let http = raw.http.value().map(|path| Probe::Http(path.0.clone()));
    let exec = raw.exec.value().map(|run| Probe::Exec(run.clone()));
    let is_invalid = matches!(raw.http, Field::Invalid)
        || matches!(raw.exec, Field::Invalid)
        || matches!(raw.tcp, Field::Invalid);
    let probes: Vec<Probe> = [http, tcp, exec].into_iter().flatten().collect();
    let needs_port = probes.iter().any(|probe| !matches!(probe, Probe::Exec(_)));
    if needs_port && service.port.is_absent() {
        findings
            .add(&at.place, at.key.clone(), "the check asks the main port, and there is none")
            .hint("add port = 8080, or check with \"exec:./check\"");
    }
    let [probe] = <[Probe; 1]>::try_from(probes)
        .map_err(|probes| {
            let message = match probes.len() {
                0 if is_invalid => return,
                0 => "a health check has nothing to ask",
                _ => "a health check asks one thing only",
            };
            findings
                .add(&at.place, at.key.clone(), message)
                .hint("write one of http = \"/up\", tcp = true and exec = \"./check\"");
        })
        .ok()?;
    Some(Health {
        probe,
        every: raw.every.value().copied(),
        within: raw.within.value().copied(),
        rise: raw.rise.value().map(|count| count.0),
        fall: raw.fall.value().map(|count| count.0),
    })
}
