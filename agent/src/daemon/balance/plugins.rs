//! Policies that are programs of apps: what they are asked, and what stands of their answers.
//!
//! Invariant: whatever a plugin does, its service has a policy at every moment. What was answered last
//! outlives hostd, below RUN, so that the next one finds the table as it should be, not as the
//! fallback has it. A program of one version decides for all instances of its service, those of
//! another version among them. Never runs a program: [`Plugins`] does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use loadbalancer::policy::Policy;
use loadbalancer::registry::{Backend, BackendId, Service as Registered, State};
use manifest_spec::api::EventKind;
use manifest_spec::plugin::{self, Answer};
use tokio::sync::mpsc::UnboundedSender;

use super::wanted::{self, IPV6, Served};
use crate::aside::OfPolicy;
use crate::aside::start::{OWN, Starter};
use crate::daemon::chronicle::About;
use crate::daemon::event::Event;
use crate::daemon::record::VersionRecord;
use crate::daemon::services::{Balanced, Plugin};
use crate::daemon::shown::measured;
use crate::daemon::world::World;
use crate::plan::Directories;
use crate::plugin::{DEADLINE, News, Plugins, Setup, Standing};
use crate::store;

/// Below RUN: a file for each service, with the answer in force.
const FOLDER: &str = "policies";

/// The plugins of this hostd, and what is known for them.
#[derive(Debug)]
pub(super) struct Asked {
    plugins: Plugins,
    /// What instances use, by their names.
    used: BTreeMap<String, Used>,
    /// Services whose plugin was told to fail.
    failing: BTreeSet<String>,
}

/// What an instance was last seen to use.
#[derive(Debug, Clone, Copy)]
struct Used {
    at: Instant,
    cpu_usec: Option<u64>,
    /// Processors, since it was looked at before that.
    cpu: Option<f64>,
    memory: Option<u64>,
}

impl Asked {
    /// Nobody yet.
    pub(super) fn nobody(directories: &Directories, sender: &UnboundedSender<Event>) -> Asked {
        let starter = Starter { executable: OWN.into(), directories: directories.clone() };
        let sender = sender.clone();
        // Nobody listens any more when hostd ends.
        let tell = move |news| drop(sender.send(Event::Policy(news)));
        let plugins = Plugins::new(starter, tell);
        Asked { plugins, used: BTreeMap::new(), failing: BTreeSet::new() }
    }
}

impl Used {
    /// What it uses now, if it has used so much; `before` is what was seen the last time.
    fn now(cpu_usec: Option<u64>, memory: Option<u64>, before: Option<&Used>) -> Used {
        let at = Instant::now();
        let since = |before: &Used| {
            let used = cpu_usec?.checked_sub(before.cpu_usec?)? as f64 / 1e6;
            let passed = at.duration_since(before.at).as_secs_f64();
            // A hundredth is enough, and tells nothing new all the time.
            (passed > 0.0).then(|| (used / passed * 100.0).round() / 100.0)
        };
        Used { at, cpu_usec, cpu: before.and_then(since), memory }
    }
}

impl World {
    /// Remember what was answered to an earlier hostd.
    pub(super) fn remember_answers(&mut self) {
        let names: Vec<String> = self.asked_about().into_iter().map(|one| one.name).collect();
        for name in names {
            let text = std::fs::read(self.answers().join(file_of(&name))).unwrap_or_default();
            if let (Ok(answer), Some(asked)) =
                (serde_json::from_slice::<Answer>(&text), &mut self.balance.asked)
            {
                asked.plugins.remember(&name, answer);
            }
        }
    }

    /// The policy of a service of an app: a plugin's answer, while one stands.
    pub(super) fn policy_of(&self, served: &Served<'_>, balanced: &Balanced) -> Policy {
        let Some(plugin) = &balanced.plugin else { return wanted::policy(&balanced.policy) };
        let standing = main_name(served)
            .and_then(|name| Some(self.balance.asked.as_ref()?.plugins.standing(&name)));
        match standing {
            Some(Standing::Answer(answer) | Standing::Kept(answer)) => {
                Policy::Given(for_both_families(answer))
            }
            _ => wanted::policy(plugin.fallback.as_deref().unwrap_or_default()),
        }
    }

    /// Ask every plugin about its service as it is now.
    pub(super) fn ask_plugins(&mut self) {
        let Some(mut asked) = self.balance.asked.take() else { return };
        let mut kept = BTreeSet::new();
        for Question { name, version, balanced, plugin } in self.asked_about() {
            if let Some(service) = self.balance.service(&name) {
                let generation = u64::from(version.number);
                let backends = self.seen(service, &asked.used);
                let setup = || setup(version, balanced, plugin);
                asked.plugins.ask(&name, generation, setup, backends);
            }
            kept.insert(name);
        }
        asked.plugins.keep(|name| kept.contains(name));
        asked.failing.retain(|name| kept.contains(name));
        self.balance.asked = Some(asked);
    }

    /// Whether some service goes by what a plugin says.
    pub(super) fn has_plugins(&self) -> bool {
        self.balance.asked.as_ref().is_some_and(|asked| !asked.plugins.is_empty())
    }

    /// See what instances use that plugins are asked about.
    pub(super) fn look_at_usage(&mut self) {
        let Some(mut asked) = self.balance.asked.take() else { return };
        let mut used = BTreeMap::new();
        for live in self.live.values().filter(|_| !asked.plugins.is_empty()) {
            let balanced = self.service_of(&live.name).and_then(|service| service.balanced);
            if balanced.is_some_and(|balanced| balanced.plugin.is_some())
                && let Some(usage) = measured(live, None)
            {
                let name = live.name.to_string();
                let before = asked.used.get(&name);
                let now = Used::now(usage.cpu_usec, usage.memory_bytes, before);
                used.insert(name, now);
            }
        }
        asked.used = used;
        self.balance.asked = Some(asked);
    }

    /// What stands of a plugin's answers has changed.
    pub(in crate::daemon) fn is_answered(&mut self, news: &News) {
        let News { service, standing, failure } = news;
        let (folder, file) = (self.answers(), file_of(service));
        let Some(asked) = &mut self.balance.asked else { return };
        let told = match (standing, failure) {
            (Standing::Answer(answer), _) => {
                let _ = store::open(&self.directories.run, &[FOLDER]);
                // Without it the next hostd begins with the fallback.
                let _ = store::replace(&folder, &file, answer);
                let again = asked.failing.remove(service);
                again.then(|| (EventKind::Progress, "its policy answers again".to_owned()))
            }
            (Standing::Kept(_), Some(failure)) => {
                let is_new = asked.failing.insert(service.clone());
                let text = format!("{failure}; its last answer stands");
                is_new.then_some((EventKind::Warning, text))
            }
            (Standing::Fallback, Some(failure)) => {
                let _ = std::fs::remove_file(folder.join(file));
                asked.failing.insert(service.clone());
                let text = format!("{failure}; its fallback takes its place");
                Some((EventKind::Warning, text))
            }
            _ => None,
        };
        if let Some((kind, text)) = told {
            let app = service.split('.').next().unwrap_or_default().to_owned();
            let about = About { app, ..About::default() };
            self.chronicle.add(about, kind, format!("{service}: {text}"));
        }
        self.serve();
    }

    /// Services with a plugin that nobody has taken another policy for.
    fn asked_about(&self) -> Vec<Question<'_>> {
        let question = |served: Served<'_>| {
            let name = main_name(&served)?;
            let said = self.balance.said(&name).and_then(|said| said.policy.as_ref());
            let app = self.apps.get(served.app())?;
            let version = app.versions.get(&app.record.target)?;
            let balanced = app.service(version.number, &served.service.name)?.balanced.as_ref()?;
            let plugin = balanced.plugin.as_ref().filter(|_| said.is_none())?;
            Some(Question { name, version, balanced, plugin })
        };
        self.served().into_iter().filter_map(question).collect()
    }

    /// A service's backends as a plugin sees them: one that is reached by both families is one.
    fn seen(&self, service: &Registered, used: &BTreeMap<String, Used>) -> Vec<plugin::Backend> {
        let one = |(id, backend): (&BackendId, &Backend)| {
            let twin = format!("{id}{IPV6}");
            let is_same = |other: &BackendId| other == id || other.as_str() == twin;
            let all = service.backends().filter(|(other, _)| is_same(other));
            let used = used.get(id.as_str());
            plugin::Backend {
                id: id.to_string(),
                address: backend.given().target.get().to_string(),
                healthy: matches!(backend.state(), State::Serving | State::Draining),
                draining: backend.state() == State::Draining,
                weight: backend.given().weight.get().into(),
                connections: all.map(|(_, one)| self.balance.count_of(service, one)).sum(),
                rate: None,
                latency_ms: None,
                cpu: used.and_then(|used| used.cpu),
                memory: used.and_then(|used| used.memory),
                labels: BTreeMap::new(),
                version: backend.given().version.clone(),
            }
        };
        service.backends().filter(|(id, _)| !id.as_str().ends_with(IPV6)).map(one).collect()
    }

    fn answers(&self) -> PathBuf {
        self.directories.run.join(FOLDER)
    }
}

/// The file with what was answered about a service, whose name has no slash.
fn file_of(service: &str) -> String {
    format!("{service}.json")
}

/// A service that a plugin is asked about, and whose plugin it is.
struct Question<'a> {
    name: String,
    version: &'a VersionRecord,
    balanced: &'a Balanced,
    plugin: &'a Plugin,
}

/// What a service is asked about by: its first port. The answer is for all of them.
fn main_name(served: &Served<'_>) -> Option<String> {
    Some(served.name(served.service.ports.first()?)?.to_string())
}

fn setup(version: &VersionRecord, balanced: &Balanced, plugin: &Plugin) -> Setup {
    let of = OfPolicy {
        source: version.source.clone(),
        policy: balanced.policy.clone(),
        deployer: version.deployer.clone(),
        kept: true,
    };
    let deadline = plugin.deadline_ms.map_or(DEADLINE, Duration::from_millis);
    Setup { of, deadline }
}

/// A backend has another name where it is reached by IPv6, which plugins are not told.
fn for_both_families(answer: Answer) -> Answer {
    let six = |id: &String| format!("{id}{IPV6}");
    match answer {
        Answer::Weights(weights) => {
            let twins: Vec<_> = weights.iter().map(|(id, weight)| (six(id), *weight)).collect();
            Answer::Weights(weights.into_iter().chain(twins).collect())
        }
        Answer::Slots { key, slots } => {
            let slots = slots.into_iter().flat_map(|id| [six(&id), id]).collect();
            Answer::Slots { key, slots }
        }
    }
}
