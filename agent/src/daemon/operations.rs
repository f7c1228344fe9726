//! What operators do to apps that are deployed: stop, start, restart, scale, remove.
//!
//! Invariant: an operation changes what is wanted, on disk first; what follows is decided by
//! [`crate::fleet`]. Each is in the audit log before it is done.

use std::time::{Duration, Instant};

use manifest_spec::api::{
    AuditEntry, Changed, ErrorBody, EventKind, LbDrainRequest, LbPolicyRequest, LbWeightRequest,
    RemoveRequest, ScaleRequest, ServiceRequest, Wanted,
};
use manifest_spec::names::AppName;
use manifest_spec::policy::Verb;

use super::chronicle::About;
use super::event::Call;
use super::lb;
use super::peer::Peer;
use super::record::ServiceRecord;
use super::refusal;
use super::world::{App, World};
use crate::audit::Deed;
use crate::failure::Error;
use crate::keep::assignment::Name;
use crate::source;
use crate::state::StateError;
use crate::supervise::instance::{Happening, State};

impl World {
    /// Refuse whoever may not ask this. What a manifest's own name decides is judged when it is
    /// read.
    pub(super) fn permit(&self, call: &Call, peer: &Peer) -> Result<(), ErrorBody> {
        let (app, verb): (&str, Verb) = match call {
            Call::Host | Call::Apps | Call::Deploy(_) | Call::Plan(_) => return Ok(()),
            Call::Events { app: None, .. } if peer.is_owner() => return Ok(()),
            Call::Events { app: None, .. } => {
                return Err(refusal::owner_only(peer, "follow the events of every app"));
            }
            Call::Logs(query) if query.app.is_none() && peer.is_owner() => return Ok(()),
            Call::Audit { .. } | Call::Halt if peer.is_owner() => return Ok(()),
            Call::Audit { .. } => return Err(refusal::owner_only(peer, "read the audit log")),
            Call::Halt => return Err(refusal::owner_only(peer, "stop every app of the host")),
            // What a peer may not look at is left out.
            Call::Lb(_) => return Ok(()),
            Call::LbAdd(_) | Call::LbRemove(_) | Call::Metrics if peer.is_owner() => return Ok(()),
            Call::LbAdd(_) | Call::LbRemove(_) => {
                return Err(refusal::owner_only(peer, "lead clients to what hostd does not run"));
            }
            Call::Metrics => return Err(refusal::owner_only(peer, "read the host's metrics")),
            Call::LbWeight(LbWeightRequest { name, .. })
            | Call::LbDrain(LbDrainRequest { name, .. })
            | Call::LbPolicy(LbPolicyRequest { name, .. }) => (lb::app_of(name), Verb::Control),
            Call::Events { app: Some(app), .. } | Call::App(app) => (app, Verb::Look),
            // What a program writes can hold what its variables do.
            Call::Logs(query) => match &query.app {
                Some(app) => (app, Verb::Deploy),
                None => return Err(refusal::owner_only(peer, "read the logs of every app")),
            },
            Call::Sinks(None) if peer.is_owner() => return Ok(()),
            Call::Sinks(None) => return Err(refusal::owner_only(peer, "see every sink")),
            // Addresses can hold what identifies the app there.
            Call::Sinks(Some(app)) => (app, Verb::Deploy),
            Call::AddSink(app, _) | Call::RemoveSink(app, _) => (app, Verb::Deploy),
            Call::TestSinks(app, _) => (app, Verb::Deploy),
            Call::History(app) => (app, Verb::Deploy),
            Call::Stop(app, _) | Call::Start(app, _) => (app, Verb::Control),
            Call::Restart(app, _) | Call::Scale(app, _) => (app, Verb::Control),
            Call::Rollback(app, _) | Call::Remove(app, _) => (app, Verb::Deploy),
            Call::Exec(app, _) => (app, Verb::Exec),
        };
        match self.may(peer, app, verb)? {
            true => Ok(()),
            false => Err(refusal::forbidden(peer, app, verb)),
        }
    }

    /// Whether a peer may do this to an app of this name.
    pub(super) fn may(&self, peer: &Peer, app: &str, verb: Verb) -> Result<bool, ErrorBody> {
        if peer.is_owner() {
            return Ok(true);
        }
        let policy = source::policy(&self.directories.policy())
            .map_err(|error| refusal::of(&Error::Source(error)))?;
        // A copy with a port offset counts as its app.
        let base = app.split('+').next().unwrap_or_default();
        Ok(AppName::new(base).is_ok_and(|name| peer.may(&policy, &name, verb)))
    }

    /// Stop an app, or single services of it.
    pub(super) fn stop(
        &mut self,
        name: &str,
        request: &ServiceRequest,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        let mut app = self.known(name, request.service.as_deref())?;
        match &request.service {
            None => app.record.wanted = Wanted::Stopped,
            Some(service) => said(&mut app, service).count = Some(0),
        }
        self.change(app, peer, "stop", &described(request.service.as_deref()))
    }

    /// Start what was stopped. What waits after a failure is tried at once.
    pub(super) fn start(
        &mut self,
        name: &str,
        request: &ServiceRequest,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        let mut app = self.known(name, request.service.as_deref())?;
        if app.record.wanted == Wanted::Removed {
            return Err(refusal::on_its_way_out(name));
        }
        app.record.wanted = Wanted::Running;
        for (service, said) in &mut app.record.services {
            let meant = request.service.as_ref().is_none_or(|one| one == service);
            if meant && said.count == Some(0) {
                said.count = None;
            }
        }
        let changed = self.change(app, peer, "start", &described(request.service.as_deref()))?;
        let waits = |state| matches!(state, State::BackingOff | State::Failed);
        let waiting = self.live.values().filter(|live| {
            live.name.app == name
                && request.service.as_ref().is_none_or(|one| *one == live.name.service)
                && waits(live.instance.state())
        });
        let waiting: Vec<Name> = waiting.map(|live| live.name.clone()).collect();
        for instance in waiting {
            self.happen(&instance, Happening::Launch);
        }
        Ok(changed)
    }

    /// Replace the instances of an app, or of one service, by new ones.
    pub(super) fn restart(
        &mut self,
        name: &str,
        request: &ServiceRequest,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        let mut app = self.known(name, request.service.as_deref())?;
        if app.record.wanted != Wanted::Running {
            let message = format!("{name} is stopped");
            return Err(refusal::conflict(message, "start it with `hostctl start`"));
        }
        let services: Vec<String> = match &request.service {
            Some(service) => vec![service.clone()],
            None => names(&app).into_iter().map(str::to_owned).collect(),
        };
        for service in &services {
            said(&mut app, service).generation += 1;
        }
        self.change(app, peer, "restart", &described(request.service.as_deref()))
    }

    /// How many instances of a service.
    pub(super) fn scale(
        &mut self,
        name: &str,
        request: &ScaleRequest,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        let mut app = self.known(name, Some(&request.service))?;
        let policy = source::policy(&self.directories.policy())
            .map_err(|error| refusal::of(&Error::Source(error)))?;
        if let Some(top) = policy.ceilings.count.filter(|top| request.count > *top) {
            return Err(refusal::ceiling(request.count, top));
        }
        let service = app.service(app.record.target, &request.service);
        if let Some(reason) = service.and_then(|service| service.single.clone())
            && request.count > 1
        {
            return Err(refusal::conflict(
                format!(
                    "{name}.{} can't have {} instances: {reason}",
                    request.service, request.count
                ),
                "grant it no managed directory, or leave it at one",
            ));
        }
        said(&mut app, &request.service).count = Some(request.count);
        let version = app.record.target;
        let what = format!("{}={}", request.service, request.count);
        let changed = self.change(app, peer, "scale", &what)?;
        let text = format!("{} has {} instances now", request.service, request.count);
        self.chronicle.add(About::app(name, version), EventKind::Scaled, text);
        Ok(changed)
    }

    /// Stop an app and forget it.
    pub(super) fn remove(
        &mut self,
        name: &str,
        request: &RemoveRequest,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        let mut app = self.known(name, None)?;
        app.record.wanted = Wanted::Removed;
        app.record.data_goes = request.data;
        let what = if request.data { "with its data" } else { "data kept" };
        self.change(app, peer, "remove", what)
    }

    /// Stop every instance in order, and start none any more: the host goes down.
    pub(super) fn halt(&mut self, peer: &Peer) -> Result<Changed, ErrorBody> {
        self.record(peer, "halt", "", "")?;
        self.halting = true;
        let seq = self.chronicle.next();
        Ok(Changed { app: String::new(), unchanged: false, seq, warnings: Vec::new() })
    }

    /// The newest entries of the audit log.
    pub(super) fn entries(&self, count: usize) -> Result<Vec<AuditEntry>, ErrorBody> {
        self.audit.newest(count).map_err(|error| refusal::audit(&error))
    }

    /// Write down who does what, before it is done.
    pub(super) fn record(
        &mut self,
        peer: &Peer,
        action: &str,
        target: &str,
        parameters: &str,
    ) -> Result<(), ErrorBody> {
        let at_ms = self.now_ms();
        self.audit
            .append(&peer.actor(), at_ms, Deed::done(action, target, parameters))
            .map_err(|error| refusal::audit(&error))
    }

    /// Write down who was refused what. Anybody can have themselves refused, so it is done once a
    /// second at most, and says how many it stands for.
    pub(super) fn record_refusal(&mut self, peer: &Peer, action: &str, target: &str, why: &str) {
        let (last, left_out) = self.refusals;
        if last.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            self.refusals = (last, left_out.saturating_add(1));
            return;
        }
        self.refusals = (Some(Instant::now()), 0);
        let parameters = match left_out {
            0 => String::new(),
            more => format!("and {more} more refusals since the last entry"),
        };
        let at_ms = self.now_ms();
        let deed = Deed::refused(action, target, parameters, why);
        // It is refused all the same.
        let _ = self.audit.append(&peer.actor(), at_ms, deed);
    }

    /// An app that is deployed, and has this service.
    fn known(&self, name: &str, service: Option<&str>) -> Result<App, ErrorBody> {
        let app = self.apps.get(name).ok_or_else(|| refusal::unknown_app(name, &self.apps))?;
        if let Some(service) = service {
            let names = names(app);
            if !names.contains(&service) {
                return Err(refusal::unknown_service(name, service, &names));
            }
        }
        Ok(app.clone())
    }

    /// Put a changed app on disk and in force.
    fn change(
        &mut self,
        app: App,
        peer: &Peer,
        action: &str,
        what: &str,
    ) -> Result<Changed, ErrorBody> {
        let name = app.record.name.clone();
        let unchanged = self.apps.get(&name).is_some_and(|old| old.record == app.record);
        let seq = self.chronicle.next();
        if !unchanged {
            self.record(peer, action, &name, what)?;
            self.try_keep(app).map_err(|error| refusal::state(&error))?;
        }
        Ok(Changed { app: name, unchanged, seq, warnings: Vec::new() })
    }

    /// Put an app on disk and then in force.
    pub(super) fn try_keep(&mut self, app: App) -> Result<(), StateError> {
        let all: Vec<_> = app.versions.values().collect();
        self.store.put(&app.record, &all)?;
        self.apps.insert(app.record.name.clone(), app);
        Ok(())
    }
}

/// The services of an app's target.
fn names(app: &App) -> Vec<&str> {
    let target = app.versions.get(&app.record.target);
    target.iter().flat_map(|version| &version.services).map(|one| one.name.as_str()).collect()
}

fn said<'a>(app: &'a mut App, service: &str) -> &'a mut ServiceRecord {
    app.record.services.entry(service.to_owned()).or_default()
}

fn described(service: Option<&str>) -> String {
    service.map_or_else(|| "every service".to_owned(), |service| format!("service {service}"))
}
