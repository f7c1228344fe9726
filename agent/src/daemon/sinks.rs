//! Where the records of apps go, as operators ask for it.
//!
//! Invariant: what would be done with hostd's own rights (a file written, a program started, a socket
//! of the host) is for root alone, as in a manifest. Each change is in the audit log before it is made;
//! what a sink is told to identify itself by is not.

use manifest_spec::api::{Changed, ErrorBody, EventKind, SinkList, SinkTestRequest};
use manifest_spec::log::sinks::{Changing, EntryError, SinkChanges, SinkEntry, SinkName};
use manifest_spec::manifest::SinkTarget;
use manifest_spec::sink::SyslogAddress;

use super::chronicle::About;
use super::event::Reply;
use super::peer::Peer;
use super::refusal;
use super::world::World;
use crate::aside::Like;
use crate::aside::start::{OWN, Starter};
use crate::logs::choice;
use crate::plan::PlannedSink;
use crate::planning::Source;
use crate::source;

impl World {
    /// How sinks do.
    pub(super) fn sinks(&self, app: Option<&str>) -> Result<SinkList, ErrorBody> {
        let sinks = choice::standing(&self.directories, app);
        let sinks = sinks.map_err(|error| refusal::unread(&error.to_string()))?;
        Ok(SinkList { sinks })
    }

    /// Send an app's records to one more sink.
    pub(super) fn add_sink(
        &mut self,
        app: &str,
        entry: SinkEntry,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        let sink = entry.sink().map_err(|error| unfit(&error))?;
        refuse_mighty(peer, &sink.to)?;
        let name = entry.name();
        self.change_sinks(app, &name, peer, "add-sink", |changes, declared| {
            changes.add(entry, declared)
        })
    }

    /// Send an app's records to one sink less.
    pub(super) fn remove_sink(
        &mut self,
        app: &str,
        name: &SinkName,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        self.change_sinks(app, name, peer, "remove-sink", |changes, declared| {
            changes.remove(name, declared)
        })
    }

    fn change_sinks(
        &mut self,
        app: &str,
        name: &SinkName,
        peer: &Peer,
        action: &str,
        apply: impl FnOnce(&mut SinkChanges, &[SinkName]) -> Changing,
    ) -> Result<Changed, ErrorBody> {
        let version = self.has_logs(app)?;
        let unread = |error: std::io::Error| refusal::unread(&error.to_string());
        let mut declared = choice::declared(&self.directories, app).map_err(unread)?;
        declared.extend(self.declared(app).iter().map(choice::name));
        let mut changes = choice::changes(&self.directories, app).map_err(unread)?;
        let seq = self.chronicle.next();
        let changed = Changed { app: app.to_owned(), unchanged: true, seq, warnings: Vec::new() };
        match apply(&mut changes, &declared) {
            Changing::SoAlready => return Ok(changed),
            Changing::Unknown => {
                declared.extend(changes.added.iter().map(SinkEntry::name));
                return Err(refusal::unknown_sink(app, name, &declared));
            }
            Changing::Done => {}
        }
        self.record(peer, action, app, &name.to_string())?;
        choice::change(&self.directories, app, &changes)
            .map_err(|error| refusal::unread(&error.to_string()))?;
        let what = if action == "add-sink" { "added" } else { "removed" };
        let text = format!("the sink {name} was {what}");
        self.chronicle.add(About::app(app, version), EventKind::Progress, text);
        Ok(Changed { unchanged: false, ..changed })
    }

    /// What a test is about: one sink, or every one of an app; programs run beside an instance that
    /// runs.
    pub(super) fn sinks_to_test(
        &self,
        app: &str,
        request: SinkTestRequest,
        peer: &Peer,
    ) -> Result<Reply, ErrorBody> {
        self.has_logs(app)?;
        let sinks = match request.sink {
            Some(entry) => {
                let sink = entry.sink().map_err(|error| unfit(&error))?;
                vec![PlannedSink::new(&sink, std::path::Path::new("/"))]
            }
            None => {
                let changes = choice::changes(&self.directories, app)
                    .map_err(|error| refusal::unread(&error.to_string()))?;
                let wanted = choice::wanted(&self.declared(app), &changes);
                wanted.into_iter().map(|one| one.sink).collect()
            }
        };
        sinks.iter().try_for_each(|sink| refuse_mighty(peer, &sink.to))?;
        let serving = self.instances_of(app).find(|live| live.instance.is_serving());
        let assignment = serving.and_then(|live| self.assignment(&live.name, live.ports.clone()));
        let starter = Starter { executable: OWN.into(), directories: self.directories.clone() };
        let programs = assignment.map(|assignment| Box::new((starter, Like::of(&assignment))));
        Ok(Reply::TestSinks(sinks, programs))
    }

    /// The current version of an app that is deployed, or has logs of runs in the foreground (0).
    fn has_logs(&self, app: &str) -> Result<u32, ErrorBody> {
        if let Some(app) = self.apps.get(app) {
            return Ok(app.record.target);
        }
        let folder = self.directories.logs().join(app);
        match !app.contains('/') && !app.starts_with('.') && folder.is_dir() {
            true => Ok(0),
            false => Err(refusal::unknown_app(app, &self.apps)),
        }
    }

    /// The sinks that the manifest of an app's current version declares.
    fn declared(&self, app: &str) -> Vec<PlannedSink> {
        let version = self.apps.get(app).and_then(|app| app.versions.get(&app.record.target));
        let Some(version) = version else { return Vec::new() };
        let Source { name, text, folder, overrides } = &version.source;
        let drop_in = |app: &str| self.directories.drop_in(app);
        // It was valid when it was deployed; if it is no longer, it has no sinks to show.
        let Ok(loaded) = source::load(name, text, drop_in, overrides) else { return Vec::new() };
        let sinks = loaded.manifest.logs.sinks.iter();
        sinks.map(|sink| PlannedSink::new(sink, folder)).collect()
    }
}

fn unfit(error: &EntryError) -> ErrorBody {
    refusal::sink_entry(&error.message, error.hint.as_deref())
}

/// What hostd would do with its own rights, nobody else can have done.
fn refuse_mighty(peer: &Peer, to: &SinkTarget) -> Result<(), ErrorBody> {
    let mighty = matches!(
        to,
        SinkTarget::File(_) | SinkTarget::Exec(_) | SinkTarget::Syslog(SyslogAddress::Unix(_))
    );
    match mighty && !peer.is_owner() {
        true => Err(refusal::sink(peer, to)),
        false => Ok(()),
    }
}
