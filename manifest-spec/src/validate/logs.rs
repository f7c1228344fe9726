//! Logs: options that a kind of sink has, and variables that are to be redacted.

use super::{App, missing};
use crate::decode::{At, Field, Findings, Map};
use crate::manifest::{Logs, Sink, SinkTarget};
use crate::raw::RawSink;
use crate::raw::env::EnvName;
use crate::suggest::did_you_mean;

pub(super) fn logs(app: &App<'_>, findings: &mut Findings<'_>) -> Logs {
    let Some(raw) = app.raw.app.logs.value() else { return Logs::default() };
    let sinks = raw.sinks.value().into_iter().flatten();
    let keep = raw.keep.value();
    let redact = raw.redact.value();
    for name in redact.into_iter().flatten() {
        check_variable(name, app, findings);
    }
    Logs {
        keep_bytes: keep.and_then(|keep| keep.bytes),
        keep_for: keep.and_then(|keep| keep.span),
        full: raw.full.value().copied(),
        redact: redact.map(|names| names.iter().map(|name| name.value.0.clone()).collect()),
        sinks: sinks.filter_map(|one| sink(one, findings)).collect(),
    }
}

/// A name that no service sets would keep nothing secret.
fn check_variable(name: &At<EnvName>, app: &App<'_>, findings: &mut Findings<'_>) {
    let raw = app.slots.iter().filter_map(|slot| slot.raw);
    let tables = raw.filter_map(|service| service.env.value()).chain(app.shared_env);
    let known: Vec<&str> =
        tables.flat_map(|table| &table.0).map(|one| one.name.value.0.as_str()).collect();
    if known.contains(&name.value.0.as_str()) {
        return;
    }
    let hint = did_you_mean(&name.value.0, known)
        .unwrap_or_else(|| format!("add {} to [env], or drop it here", name.value.0));
    let message = format!("no service sets the variable {}", name.value.0);
    findings.add(&name.place, name.key.clone(), message).hint(hint);
}

fn sink(at: &At<RawSink>, findings: &mut Findings<'_>) -> Option<Sink> {
    let raw = &at.value;
    let to = match &raw.to {
        Field::Given(to) => &to.value.0,
        Field::Absent => {
            missing(at, "to", "to = \"journal\"", findings);
            return None;
        }
        Field::Invalid => return None,
    };
    let is_http = matches!(to, SinkTarget::Loki(_) | SinkTarget::Otlp(_) | SinkTarget::Http(_));
    let is_file = matches!(to, SinkTarget::File(_));
    let is_loki = matches!(to, SinkTarget::Loki(_));
    only(&raw.rotate, is_file, "file: sinks rotate", to, findings);
    only(&raw.copies, is_file, "file: sinks keep copies", to, findings);
    only(&raw.labels, is_loki, "loki+ sinks have labels", to, findings);
    only(&raw.headers, is_http, "sinks of HTTP have headers", to, findings);
    Some(Sink {
        to: to.clone(),
        when: raw.when.value().map(|when| when.0.clone()),
        rotate: raw.rotate.value().copied(),
        copies: raw.copies.value().map(|copies| copies.0),
        labels: pairs(&raw.labels, |name| &name.0, |value| &value.0),
        headers: pairs(&raw.headers, |name| &name.0, |value| &value.0),
    })
}

fn only<T>(
    field: &Field<T>,
    is_meant: bool,
    what: &str,
    to: &SinkTarget,
    findings: &mut Findings<'_>,
) {
    if let (Field::Given(at), false) = (field, is_meant) {
        let message = format!("only {what}, not {}", to.kind());
        findings.add(&at.place, at.key.clone(), message).hint("drop the key");
    }
}

fn pairs<K, V>(
    field: &Field<Map<K, V>>,
    name: fn(&K) -> &String,
    value: fn(&V) -> &String,
) -> Vec<(String, String)> {
    let entries = field.value().into_iter().flat_map(|map| &map.0);
    entries
        .filter_map(|one| Some((name(&one.name.value).clone(), value(one.value.value()?).clone())))
        .collect()
}
