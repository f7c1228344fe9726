//! New versions: what a manifest would change, deploying it, and going back.
//!
//! Invariant: a version is worked out whole before anything of it is kept; kept whole before
//! anything of it runs; and never changed after that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use manifest_spec::Document;
use manifest_spec::api::{
    DeployRequest, Deployed, Difference, ErrorBody, ErrorCode, EventKind, ManifestSource,
    OverridesWire, PlanRequest, PortOffset, RollbackRequest, VersionState, Wanted,
};
use manifest_spec::manifest::{Sink, SinkTarget};
use manifest_spec::names::AppName;
use manifest_spec::policy::{HostPolicy, Verb};
use manifest_spec::sink::SyslogAddress;
use sha2::{Digest, Sha256};

use super::chronicle::About;
use super::difference;
use super::peer::Peer;
use super::record::{AppRecord, VersionRecord};
use super::refusal;
use super::services::{self, Service};
use super::world::{App, World};
use crate::failure::Error;
use crate::lease::ledger::Choice;
use crate::plan::{HostFacts, Keeper, Settings};
use crate::planning::{self, Source};
use crate::source::{self, Overrides};

/// A version that was worked out, and not kept yet.
pub(super) struct Drafted {
    app: AppName,
    source: Source,
    services: Vec<Service>,
    warnings: Vec<String>,
}

impl World {
    /// What a manifest would change. The answer shows what is deployed, secrets in variables among
    /// it, so only who may deploy gets it.
    pub(super) fn difference(
        &self,
        request: &PlanRequest,
        peer: &Peer,
    ) -> Result<Difference, ErrorBody> {
        let (allow, strict) = (request.allow_unenforced, request.strict);
        let drafted =
            self.draft(&request.manifest, &request.overrides, peer, Verb::Deploy, (allow, strict))?;
        let app = self.apps.get(drafted.app.as_str());
        let running = app.and_then(|app| app.versions.get(&app.record.target));
        let serves = app.is_some_and(|app| app.record.wanted == Wanted::Running);
        let old = running.map_or(&[][..], |version| &version.services);
        Ok(Difference {
            token: token(app, &drafted.services),
            app: drafted.app.to_string(),
            version: app.map(|app| app.record.target),
            changes: difference::changes(old, &drafted.services, serves),
            warnings: drafted.warnings,
        })
    }

    /// Deploy a version.
    pub(super) fn deploy(
        &mut self,
        request: &DeployRequest,
        peer: &Peer,
    ) -> Result<Deployed, ErrorBody> {
        self.look_at_table();
        let (allow, strict) = (request.allow_unenforced, request.strict);
        let drafted =
            self.draft(&request.manifest, &request.overrides, peer, Verb::Deploy, (allow, strict))?;
        let name = drafted.app.to_string();
        let app = self.apps.get(&name);
        if let Some(promised) = &request.token
            && *promised != token(app, &drafted.services)
        {
            return Err(refusal::moved(&name));
        }
        if let Some(app) = app
            && app.record.wanted == Wanted::Removed
        {
            return Err(refusal::on_its_way_out(&name));
        }
        let target = app.and_then(|app| app.versions.get(&app.record.target));
        let same = target.is_some_and(|version| {
            version.services == drafted.services
                && version.source.text == drafted.source.text
                && version.source.overrides == drafted.source.overrides
        });
        let runs = app.is_some_and(|app| app.record.wanted == Wanted::Running);
        if let (true, true, Some(version)) = (same, runs, target) {
            return Ok(Deployed {
                app: name.clone(),
                version: version.number,
                unchanged: true,
                seq: self.chronicle.next(),
                warnings: drafted.warnings,
            });
        }
        let warnings = drafted.warnings.clone();
        let version = self.version(drafted, peer, allow, None);
        self.put_version(&name, version, peer, warnings)
    }

    /// Deploy an earlier version again: its manifest and parameters, word for word.
    pub(super) fn roll_back_to(
        &mut self,
        name: &str,
        request: &RollbackRequest,
        peer: &Peer,
    ) -> Result<Deployed, ErrorBody> {
        let app = self.apps.get(name).ok_or_else(|| refusal::unknown_app(name, &self.apps))?;
        let wanted = match request.version {
            Some(number) => app.versions.get(&number),
            None => before(app),
        };
        let Some(old) = wanted.cloned() else {
            return Err(refusal::no_version(name, request.version, &app.versions));
        };
        let next = app.versions.keys().last().map_or(1, |last| last + 1);
        let version = VersionRecord {
            number: next,
            state: VersionState::Rolling,
            at_ms: self.now_ms(),
            by: peer.name(),
            reason: Some(format!("version {} again", old.number)),
            ..old
        };
        self.put_version(name, version, peer, Vec::new())
    }

    /// Work a manifest out.
    fn draft(
        &self,
        manifest: &ManifestSource,
        overrides: &OverridesWire,
        peer: &Peer,
        verb: Verb,
        (allow, strict): (bool, bool),
    ) -> Result<Drafted, ErrorBody> {
        let told = |error: planning::PlanningError| refusal::of(&Error::from(error));
        let policy = source::policy(&self.directories.policy())
            .map_err(|error| refusal::of(&Error::Source(error)))?;
        let facts = HostFacts::probe().map_err(|error| refusal::of(&Error::Directories(error)))?;
        let mut source = Source {
            name: manifest.name.clone(),
            text: manifest.text.clone(),
            folder: PathBuf::from(&manifest.folder),
            overrides: overrides_of(overrides),
        };
        if !source.folder.is_absolute() {
            return Err(refusal::bad_request(
                "the folder of the manifest must be an absolute path",
            ));
        }
        // Before anything is read or tried out for it; an override can still give another name.
        let written = Document::parse(&source.name, &source.text)
            .map_err(|errors| refusal::of(&Error::Source(errors.into())))?;
        if let Some(name) = written.name().and_then(|name| AppName::new(name).ok())
            && !peer.may(&policy, &name, verb)
        {
            return Err(refusal::forbidden(peer, name.as_str(), verb));
        }
        if overrides.port_offset == PortOffset::Auto {
            source.overrides.port_offset =
                free_offset(&source, &facts, &policy).map_err(|error| refusal::of(&error))?;
        }
        let loaded = planning::load(&source, &facts).map_err(told)?;
        let app = loaded.manifest.name.clone();
        if !peer.may(&policy, &app, verb) {
            return Err(refusal::forbidden(peer, app.as_str(), verb));
        }
        let is_mighty = |sink: &&Sink| {
            matches!(
                sink.to,
                SinkTarget::File(_)
                    | SinkTarget::Exec(_)
                    | SinkTarget::Syslog(SyslogAddress::Unix(_))
            )
        };
        if let Some(sink) = loaded.manifest.logs.sinks.iter().find(is_mighty)
            && !peer.is_owner()
        {
            return Err(refusal::sink(peer, &sink.to));
        }
        let deployer = peer.deployer();
        let services = services::work_out(
            &source,
            &loaded,
            &facts,
            &policy,
            deployer.as_ref(),
            allow,
            self.balance.why_not().is_none(),
        )
        .map_err(told)?;
        if strict {
            refuse_unenforced(&services)?;
        }
        let mut warnings: Vec<String> = Vec::new();
        for service in &services {
            let lines = service.unenforced.iter().map(|one| format!("{}: {one}", service.name));
            warnings.extend(lines);
            let own_port = service.ports.iter().any(|port| !port.activate);
            if let Some(why) = self.balance.why_not()
                && service.count > 1
                && own_port
            {
                let text = "has several instances, each on a port of its own (`hostctl status` shows which): no balancer stands before them";
                warnings.push(format!("{} {text}: {why}", service.name));
            }
        }
        Ok(Drafted { app, source, services, warnings })
    }

    fn version(
        &self,
        drafted: Drafted,
        peer: &Peer,
        allow_unenforced: bool,
        reason: Option<String>,
    ) -> VersionRecord {
        let app = self.apps.get(drafted.app.as_str());
        VersionRecord {
            number: app.and_then(|app| app.versions.keys().last()).map_or(1, |last| last + 1),
            state: VersionState::Rolling,
            at_ms: self.now_ms(),
            by: peer.name(),
            deployer: peer.deployer(),
            source: drafted.source,
            allow_unenforced,
            reason,
            services: drafted.services,
        }
    }

    /// Keep a version and make it the target.
    fn put_version(
        &mut self,
        name: &str,
        version: VersionRecord,
        peer: &Peer,
        warnings: Vec<String>,
    ) -> Result<Deployed, ErrorBody> {
        let number = version.number;
        let mut app = self.apps.get(name).cloned().unwrap_or_else(|| App {
            record: AppRecord {
                name: name.to_owned(),
                wanted: Wanted::Running,
                data_goes: false,
                target: number,
                promoted: None,
                since_ms: 0,
                services: BTreeMap::new(),
                failure: None,
            },
            versions: BTreeMap::new(),
        });
        let old = app.versions.get(&app.record.target).cloned();
        let given_up = match app.record.promoted {
            Some(_) => VersionState::RolledBack,
            None => VersionState::Failed,
        };
        // Only what once served is gone back to.
        for old in app.versions.values_mut().filter(|old| old.state == VersionState::Rolling) {
            old.state = given_up;
            old.reason = Some(format!("version {number} was deployed before it was ready"));
        }
        self.claim_places(name, &version.services)?;
        app.record.wanted = Wanted::Running;
        app.record.target = number;
        app.record.since_ms = version.at_ms;
        forget_scale(&mut app.record, old.as_ref(), &version);
        let parameters = format!("version {number} from {}", version.source.name);
        app.versions.insert(number, version);
        self.record(peer, "deploy", name, &parameters)?;
        let seq = self.chronicle.next();
        if let Err(error) = self.try_keep(app) {
            return Err(refusal::state(&error));
        }
        let text = format!("version {number} deployed by {}", peer.name());
        self.chronicle.add(About::app(name, number), EventKind::Deployed, text);
        Ok(Deployed { app: name.to_owned(), version: number, unchanged: false, seq, warnings })
    }
}

/// The number of instances that was set by hand stays until the manifest says another one.
fn forget_scale(record: &mut AppRecord, old: Option<&VersionRecord>, new: &VersionRecord) {
    for service in &new.services {
        let before = old.and_then(|old| old.services.iter().find(|one| one.name == service.name));
        if before.is_some_and(|before| before.count != service.count)
            && let Some(said) = record.services.get_mut(&service.name)
        {
            said.count = None;
        }
    }
}

/// The version that served before the one that is to serve now.
fn before(app: &App) -> Option<&VersionRecord> {
    let served = |version: &&VersionRecord| {
        version.number < app.record.target && version.state == VersionState::Superseded
    };
    app.versions.values().rev().find(served)
}

/// Stands for how things are and what is to be made of them: another one means that the world has
/// moved.
fn token(app: Option<&App>, services: &[Service]) -> String {
    let all = serde_json::json!([app.map(|app| &app.record), services]);
    let digest = Sha256::digest(all.to_string().as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn overrides_of(wire: &OverridesWire) -> Overrides {
    Overrides {
        profile: wire.profile.clone(),
        variables: wire.variables.clone(),
        unset: wire.unset.clone(),
        set: wire.set.clone(),
        port_offset: match wire.port_offset {
            PortOffset::By(offset) => offset,
            PortOffset::Auto => 0,
        },
    }
}

/// The smallest offset at which every service finds its ports free now. Nothing is held: should
/// somebody be faster, the instance says so when it starts.
pub(super) fn free_offset(
    source: &Source,
    facts: &HostFacts,
    policy: &HostPolicy,
) -> Result<u16, Error> {
    let mut source = source.clone();
    source.overrides.port_offset = 0;
    let services = planning::load(&source, facts)?.manifest.services;
    let names: Vec<String> = services.iter().map(|service| service.name.to_string()).collect();
    let mut agreed = 0;
    while agreed < names.len() {
        let offset = source.overrides.port_offset;
        let loaded = planning::load(&source, facts)?;
        let settings = Settings {
            service: Some(names[agreed].clone()),
            keeper: Keeper::Daemon,
            ..Settings::default()
        };
        let plan = planning::resolve_for(&source, &loaded, facts, policy, settings)?;
        let clock = crate::clock::since_epoch;
        let (found, _given_back) =
            crate::run::acquire(&plan, facts, policy, offset, Choice::Smallest, clock)
                .map_err(|error| Error::Run(error, None))?;
        agreed = if found.offset == offset { agreed + 1 } else { 0 };
        source.overrides.port_offset = found.offset;
    }
    Ok(source.overrides.port_offset)
}

fn refuse_unenforced(services: &[Service]) -> Result<(), ErrorBody> {
    let lines: Vec<String> = services
        .iter()
        .flat_map(|service| service.strictly_unenforced.iter())
        .map(|one| format!("  {one}"))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(ErrorBody {
        code: ErrorCode::Refused,
        message: format!("--strict: this can't be enforced here:\n{}", lines.join("\n")),
        hint: Some("leave out --strict to deploy all the same".to_owned()),
        diagnostics: Vec::new(),
        more_diagnostics: 0,
        exit_code: crate::failure::NOT_PERMITTED,
    })
}
