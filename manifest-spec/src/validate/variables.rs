//! `$NAME` in commands and variables: every one will exist when the program starts.
//!
//! Invariant: the set of names here is the set the agent gives the program. A value may use what
//! hostctl sets and the variables above it; a command may use all of them.

use super::{App, Slot};
use crate::command::Command;
use crate::decode::{At, Field, Findings, Named};
use crate::names::ServiceName;
use crate::raw::RawService;
use crate::raw::env::{EnvName, EnvValue};
use crate::suggest::nearest;

/// Set for every program.
const ALWAYS: [&str; 7] = ["HOME", "HOST", "HOSTCTL_MANIFEST", "LANG", "LOGNAME", "PATH", "USER"];

/// The variables one program will have, as far as they are known yet.
struct Scope<'a> {
    app: &'a App<'a>,
    /// The service whose ports and needs they come from.
    raw: Option<&'a RawService>,
    names: Vec<String>,
    /// Variables of `[env]` that stand below the one being checked.
    below: Vec<String>,
}

impl<'a> Scope<'a> {
    fn new(raw: Option<&'a RawService>, app: &'a App<'a>) -> Self {
        let mut names: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
        let ports = raw.and_then(|raw| raw.ports.value()).into_iter().flat_map(|map| &map.0);
        names.extend(ports.map(|named| named.name.value.variable()));
        if let Some(raw) = raw {
            let set = [
                ("PORT", !raw.port.is_absent()),
                ("DATA_DIR", has_data(raw)),
                ("LISTEN_FDS", has_activated(raw)),
            ];
            names.extend(set.iter().filter(|(_, is)| *is).map(|(name, _)| (*name).to_owned()));
        }
        for need in raw.and_then(|raw| raw.needs.value()).into_iter().flatten() {
            let [host, address @ ..] = need_variables(&need.value);
            let has_port = app.slot(&need.value).is_none_or(has_port);
            names.push(host);
            names.extend(address.into_iter().filter(|_| has_port));
        }
        Self { app, raw, names, below: Vec::new() }
    }

    fn knows(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Checks the variables above each other, and adds each to the scope.
    fn add_env(&mut self, all: &[Named<EnvName, EnvValue>], findings: &mut Findings<'_>) {
        self.below = all.iter().rev().map(|named| named.name.value.0.clone()).collect();
        for named in all {
            let name = &named.name.value.0;
            self.below.pop();
            if let Field::Given(at) = &named.value {
                self.check(at, at.value.word.variables(), findings);
            }
            self.check_need_variable(&named.name, findings);
            self.names.push(name.clone());
        }
    }

    fn check_need_variable(&self, name: &At<EnvName>, findings: &mut Findings<'_>) {
        let needs = self.raw.and_then(|raw| raw.needs.value()).into_iter().flatten();
        for need in needs {
            if need_variables(&need.value).contains(&name.value.0) {
                let message = "hostctl sets this variable itself";
                let hint = format!("it comes from needs \"{}\"; choose another name", need.value);
                findings.add(&name.place, name.key.clone(), message).hint(hint);
            }
        }
    }

    fn check_command(&self, at: &At<Command>, findings: &mut Findings<'_>) {
        self.check(at, at.value.variables(), findings);
    }

    fn check<'v, T>(
        &self,
        at: &At<T>,
        used: impl Iterator<Item = &'v str>,
        findings: &mut Findings<'_>,
    ) {
        let mut unknown: Vec<&str> = used.filter(|name| !self.knows(name)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        for name in unknown {
            let message = format!("the variable ${name} will not be set");
            findings.add(&at.place, at.key.clone(), message).hint(self.hint(name));
        }
    }

    fn hint(&self, name: &str) -> String {
        if let Some(hint) = self.source_hint(name) {
            return hint;
        }
        if self.below.iter().any(|below| below == name) {
            return format!("move {name} above it: a variable may use those before it");
        }
        match nearest(name, self.names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean ${near}?"),
            None => format!("set {name} in [env], or write $${name} for the characters"),
        }
    }

    /// What would make a variable of hostctl's exist.
    fn source_hint(&self, name: &str) -> Option<String> {
        let hint = match name {
            "PORT" => "add port = 8080".to_owned(),
            "DATA_DIR" => "add write = [\"data:/srv/NAME\"] to [access]".to_owned(),
            "LISTEN_FDS" => "add activate = true to a port".to_owned(),
            _ => {
                let slot = self.app.slots.iter().find(|slot| {
                    need_variables(&slot.name).iter().any(|variable| variable == name)
                })?;
                let service = &slot.name;
                match has_port(slot) {
                    true => format!("add needs = [\"{service}\"]"),
                    false => format!("the service {service} has no port; give it one"),
                }
            }
        };
        Some(hint)
    }
}

/// The variables of a needed service; those behind the first need it to have a port.
fn need_variables(service: &ServiceName) -> [String; 3] {
    let prefix = service.variable_prefix();
    ["HOST", "URL", "PORT"].map(|part| format!("{prefix}_{part}"))
}

/// Whether the service has a main port, or wants one and got it wrong.
fn has_port(slot: &Slot<'_>) -> bool {
    slot.raw.is_none_or(|raw| !raw.port.is_absent())
}

/// Whether there is a managed directory, or something wrong that may have become one.
fn has_data(raw: &RawService) -> bool {
    let access = match &raw.access {
        Field::Absent => return false,
        Field::Invalid => return true,
        Field::Given(access) => &access.value,
    };
    match &access.write {
        Field::Absent => false,
        Field::Invalid => true,
        Field::Given(grants) => {
            grants.value.iter().any(|at| at.value.path.value().is_none_or(|path| path.managed))
        }
    }
}

fn has_activated(raw: &RawService) -> bool {
    let further = raw.ports.value().into_iter().flat_map(|map| &map.0);
    let all = raw.port.get().into_iter().chain(further.filter_map(|named| named.value.get()));
    all.into_iter().any(|at| at.value.activate.value().copied().unwrap_or(false))
}

/// The scope of a service's programs, its variables checked on the way.
fn service_scope<'a>(
    raw: Option<&'a RawService>,
    app: &'a App<'a>,
    findings: &mut Findings<'_>,
) -> Scope<'a> {
    let mut scope = Scope::new(raw, app);
    for env in [app.shared_env, raw.and_then(|raw| raw.env.value())].into_iter().flatten() {
        scope.add_env(&env.0, findings);
    }
    scope
}

pub(super) fn check_service(raw: &RawService, app: &App<'_>, findings: &mut Findings<'_>) {
    let scope = service_scope(Some(raw), app, findings);
    let health = raw.health.value().and_then(|health| health.exec.get());
    for at in raw.run.get().into_iter().chain(health) {
        scope.check_command(at, findings);
    }
}

/// A hook has the variables of the service it is like: in the short form, of the only one.
pub(super) fn check_hook(
    run: &At<Command>,
    like: Option<&ServiceName>,
    app: &App<'_>,
    findings: &mut Findings<'_>,
) {
    let slot = match like {
        Some(name) => app.slot(name),
        None if app.short_form => app.slots.first(),
        None => None,
    };
    let scope = service_scope(slot.and_then(|slot| slot.raw), app, findings);
    scope.check_command(run, findings);
}

/// A policy runs without grants: only what every program has.
pub(super) fn check_policy(run: &At<Command>, app: &App<'_>, findings: &mut Findings<'_>) {
    Scope::new(None, app).check_command(run, findings);
}
