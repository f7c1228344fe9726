//! Between what is wanted and what there is: the values that [`crate::fleet`] decides on, and what
//! its decisions do to apps.
//!
//! Invariant: a decision about an app is on disk before it counts here; if the disk takes nothing,
//! it is made again later.

use std::collections::BTreeMap;

use manifest_spec::api::{EventKind, VersionState, Wanted};

use super::chronicle::About;
use super::live::{Live, timing};
use super::record::Failure;
use super::world::{App, World};
use crate::fleet::{self, Actual, ActualInstance, Desired, DesiredApp};
use crate::keep::assignment::Name;

impl World {
    /// What operators asked for.
    pub(super) fn desired(&self) -> Desired {
        let apps = self.apps.iter().map(|(name, app)| (name.clone(), self.desired_app(app)));
        Desired { apps: apps.collect() }
    }

    fn desired_app(&self, app: &App) -> DesiredApp {
        let service = |service: &super::services::Service| fleet::Service {
            name: service.name.clone(),
            count: app.count(service),
            needs: service.needs.clone(),
            takeover: service.takeover,
            fingerprint: service.fingerprint.clone(),
        };
        let versions = app.versions.iter().map(|(number, version)| {
            (*number, fleet::Version { services: version.services.iter().map(service).collect() })
        });
        let restart =
            app.record.services.iter().map(|(name, said)| (name.clone(), said.generation));
        let wanted = match app.record.wanted {
            Wanted::Running if self.halting => fleet::Wanted::Stopped,
            Wanted::Running => fleet::Wanted::Running,
            Wanted::Stopped => fleet::Wanted::Stopped,
            Wanted::Removed => fleet::Wanted::Removed,
        };
        DesiredApp {
            wanted,
            target: app.record.target,
            promoted: app.record.promoted,
            versions: versions.collect(),
            restart: restart.collect::<BTreeMap<_, _>>(),
        }
    }

    /// What there is.
    pub(super) fn actual(&self) -> Actual {
        let instances = self.live.iter().map(|(name, live)| {
            let (version, generation) = (live.version, live.generation);
            let actual = ActualInstance::of(version, &live.fingerprint, generation, &live.instance);
            (name.clone(), actual)
        });
        Actual { instances: instances.collect() }
    }

    /// A running instance belongs to another version from now on, which wants the same of it.
    pub(super) fn adopt_into(&mut self, name: &Name, version: u32) -> bool {
        let Some(live) = self.live.get_mut(name) else { return false };
        live.version = version;
        let service = self.apps.get(&name.app).and_then(|app| app.service(version, &name.service));
        if let Some(service) = service {
            live.instance.retime(timing(service));
        }
        if let Some(folder) = &live.folder
            && let Ok(Some(mut assignment)) = folder.assignment()
        {
            assignment.version = version;
            // The next hostd would adopt it once more.
            let _ = folder.reassign(&assignment);
        }
        let about = About::instance(name, version);
        self.chronicle.add(about, EventKind::Adopted, format!("unchanged in version {version}"));
        true
    }

    /// Nobody wants to know of a stopped instance any more.
    pub(super) fn forget(&mut self, name: &Name) -> bool {
        let Some(mut live) = self.live.remove(name) else { return false };
        live.detach();
        self.unwritten.remove(name);
        if let Some(folder) = live.folder.take() {
            // What stays is found and removed by the next hostd.
            let _ = folder.remove();
        }
        let of_service = |other: &Name| (&other.app, &other.service) == (&name.app, &name.service);
        if !self.live.keys().any(of_service) {
            self.shared.remove(&(name.app.clone(), name.service.clone()));
        }
        true
    }

    /// The target serves entirely.
    pub(super) fn promote(&mut self, name: &str) -> bool {
        let Some(app) = self.apps.get(name) else { return false };
        let mut record = app.record.clone();
        let target = record.target;
        let mut versions = app.versions.clone();
        for version in versions.values_mut() {
            version.state = match version.state {
                _ if version.number == target => VersionState::Current,
                VersionState::Current | VersionState::Rolling => VersionState::Superseded,
                state => state,
            };
        }
        record.promoted = Some(target);
        record.failure = None;
        let kept = self.keep(App { record, versions });
        if kept {
            let about = About::app(name, target);
            self.chronicle.add(about, EventKind::Promoted, format!("version {target} serves"));
        }
        kept
    }

    /// The target fails: back to the version that served.
    pub(super) fn give_up(&mut self, name: &str, reason: &str) -> bool {
        let at_ms = self.now_ms();
        let Some(app) = self.apps.get(name) else { return false };
        let Some(promoted) = app.record.promoted else { return false };
        let mut app = app.clone();
        let failed = app.record.target;
        app.record.target = promoted;
        app.record.since_ms = at_ms;
        let last_lines = self.last_lines_of(name, failed);
        app.record.failure =
            Some(Failure { version: failed, reason: reason.to_owned(), at_ms, last_lines });
        if let Some(version) = app.versions.get_mut(&failed) {
            version.state = VersionState::RolledBack;
            version.reason = Some(reason.to_owned());
        }
        let kept = self.keep(app);
        if kept {
            let text = format!("version {failed} rolled back: {reason}");
            self.chronicle.add(About::app(name, failed), EventKind::RolledBack, text);
        }
        kept
    }

    /// What an instance of a version that does not serve said last.
    fn last_lines_of(&self, app: &str, version: u32) -> Vec<String> {
        let meant = |live: &&Live| live.version == version && !live.instance.is_serving();
        let said = self.instances_of(app).filter(meant).find(|live| !live.tail.is_empty());
        said.map(|live| live.tail.clone()).unwrap_or_default()
    }

    /// Nothing of a removed app is left.
    pub(super) fn gone(&mut self, name: &str) -> bool {
        let Some(app) = self.apps.get(name) else { return false };
        let (version, data_goes) = (app.record.target, app.record.data_goes);
        if data_goes && let Err(error) = remove_all(&self.directories.data(name)) {
            let text = format!("its data can't be removed: {error}");
            self.chronicle.add(About::app(name, version), EventKind::Warning, text);
        }
        let forgotten = self.store.remove(name).is_ok();
        if forgotten {
            crate::logs::holder::dismiss(&self.directories, name);
            self.apps.remove(name);
            self.chronicle.add(About::app(name, version), EventKind::Removed, "removed");
        }
        forgotten
    }

    /// Put an app on disk and then in force; `false` if the disk takes nothing.
    fn keep(&mut self, app: App) -> bool {
        let about = About::app(&app.record.name, app.record.target);
        let kept = self.try_keep(app);
        if let Err(error) = &kept {
            self.chronicle.add(about, EventKind::Warning, format!("not kept: {error}"));
        }
        kept.is_ok()
    }
}

fn remove_all(path: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
