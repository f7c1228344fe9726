//! From raw values that are right by themselves to a manifest that is right as a whole.
//!
//! Owns the rules between values: what must be there, what must differ, what must exist.
//! Invariant: returns a [`Manifest`] only if nothing was found wrong, here or while decoding.
//! Gives no defaults and asks nothing of the host.

mod access;
mod lifecycle;
mod logs;
mod needs;
mod ports;
mod service;
mod triggers;
mod variables;

use crate::decode::{At, Field, Findings, Map, Table};
use crate::error::{Diagnostic, Diagnostics};
use crate::manifest::{Manifest, SINGLE_SERVICE};
use crate::names::ServiceName;
use crate::raw::env::{EnvName, EnvValue};
use crate::raw::{RawManifest, RawService};
use crate::schema::SHARED_KEYS;
use crate::tree::{Node, Place};

/// A service of either form, before it is checked.
struct Slot<'a> {
    name: ServiceName,
    /// What its keys start with: nothing, or `services.web`.
    prefix: String,
    /// Where to point when something is missing.
    place: &'a Place,
    /// `None` if it could not be decoded; it still has its name.
    raw: Option<&'a RawService>,
}

/// What every part of the checks may look at.
struct App<'a> {
    raw: &'a RawManifest,
    slots: Vec<Slot<'a>>,
    /// Top-level `env` of an app with several services.
    shared_env: Option<&'a Map<EnvName, EnvValue>>,
    short_form: bool,
}

impl Slot<'_> {
    fn key(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}.{key}", self.prefix) }
    }
}

impl<'a> App<'a> {
    fn new(root: &'a Node, raw: &'a RawManifest) -> Self {
        let short_form = raw.app.services.is_absent();
        let slots = match &raw.app.services {
            Field::Given(services) => services.value.0.iter().map(named_slot).collect(),
            Field::Invalid => Vec::new(),
            Field::Absent => vec![Slot {
                name: ServiceName::new(SINGLE_SERVICE).expect("the constant is a valid name"),
                prefix: String::new(),
                place: &root.place,
                raw: Some(&raw.service),
            }],
        };
        let shared_env = if short_form { None } else { raw.service.env.value() };
        Self { raw, slots, shared_env, short_form }
    }

    fn slot(&self, name: &ServiceName) -> Option<&Slot<'a>> {
        self.slots.iter().find(|slot| slot.name == *name)
    }
}

fn named_slot(named: &crate::decode::Named<ServiceName, RawService>) -> Slot<'_> {
    Slot {
        name: named.name.value.clone(),
        prefix: named.name.key.clone(),
        place: &named.name.place,
        raw: named.value.value(),
    }
}

/// Checks the whole and builds it; `root` is the tree `raw` was decoded from.
pub(crate) fn manifest(
    root: &Node,
    raw: &RawManifest,
    mut findings: Findings<'_>,
) -> Result<Manifest, Diagnostics> {
    let app = App::new(root, raw);
    check_form(root, &app, &mut findings);
    if raw.app.name.is_absent() {
        let hint = "add a name such as name = \"shop\"";
        findings.add_whole(&root.place, "name", "the app has no name").hint(hint);
    }
    let services: Vec<_> =
        app.slots.iter().filter_map(|slot| service::service(slot, &app, &mut findings)).collect();
    ports::check_distinct(&app, &mut findings);
    needs::check(&app, &mut findings);
    let hooks = triggers::hooks(&app, &mut findings);
    let policies = triggers::policies(&app, &mut findings);
    let logs = logs::logs(&app, &mut findings);
    let profiles = match raw.app.profile.value() {
        Some(profiles) => profiles.0.iter().map(|named| named.name.value.clone()).collect(),
        None => Vec::new(),
    };
    if let Some(wrong) = findings.finish() {
        return Err(wrong);
    }
    let Some(name) = raw.app.name.value().cloned() else {
        return Err(Diagnostic::new("name", "the app has no name").into());
    };
    Ok(Manifest {
        name,
        services,
        short_form: app.short_form,
        hooks,
        policies,
        logs,
        profiles,
        port_offset: 0,
    })
}

/// Refuses a mixture of the two forms, and an app without any service.
fn check_form(root: &Node, app: &App<'_>, findings: &mut Findings<'_>) {
    if app.short_form {
        return;
    }
    let of_service: Vec<&str> = RawService::fields().iter().map(|field| field.name).collect();
    for entry in root.entries() {
        let key = entry.key.as_str();
        if !of_service.contains(&key) || SHARED_KEYS.contains(&key) {
            continue;
        }
        let hint = match app.slots.first() {
            Some(slot) => format!("move it to [services.{}]", slot.name),
            None => "move it to a section such as [services.web]".to_owned(),
        };
        let message = "a service's key cannot stand beside [services]";
        findings.add(&entry.key_place, key, message).hint(hint);
    }
    if app.slots.is_empty()
        && let Field::Given(services) = &app.raw.app.services
        && services.value.0.is_empty()
        && findings.is_empty()
    {
        findings
            .add(&services.place, "services", "the app has no service")
            .hint("add a section such as [services.web] with run = \"…\"");
    }
}

/// Reports that a table lacks a key it needs.
fn missing<T>(table: &At<T>, key: &str, example: &str, findings: &mut Findings<'_>) {
    findings
        .add(&table.place, table.key.clone(), format!("the table has no {key}"))
        .hint(format!("add {example}"));
}
