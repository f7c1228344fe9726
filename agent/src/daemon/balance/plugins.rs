//! Policies that are programs of apps: what they are asked, and what stands of their answers.
//!
//! Invariant: a plugin is asked when something about its service's backends has changed, and now and
//! then besides; whatever it does, its service has a policy at every moment. Never runs a program:
//! [`Plugins`] does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use loadbalancer::policy::Policy;
use loadbalancer::registry::{Name, Service as Registered, State};
use manifest_spec::plugin::Backend;
use tokio::sync::mpsc::UnboundedSender;

use super::wanted;
use crate::aside::OfPolicy;
use crate::aside::start::{OWN, Starter};
use crate::daemon::event::Event;
use crate::daemon::services::Balanced;
use crate::daemon::world::World;
use crate::plan::Directories;
use crate::plugin::{DEADLINE, News, Plugins, Setup, Standing};
use manifest_spec::api::EventKind;

use crate::daemon::chronicle::About;

/// How long a plugin is left alone at the longest.
const EVERY: Duration = Duration::from_secs(2);

/// The plugins of this hostd, and what each was asked last.
#[derive(Debug)]
pub(super) struct Asked {
    plugins: Plugins,
    last: BTreeMap<String, (Vec<Backend>, Instant)>,
}

impl Asked {
    /// Nobody yet.
    pub(super) fn nobody(directories: &Directories, sender: &UnboundedSender<Event>) -> Asked {
        let starter = Starter { executable: OWN.into(), directories: directories.clone() };
        let sender = sender.clone();
        // Nobody listens any more when hostd ends.
        let tell = move |news| drop(sender.send(Event::Policy(news)));
        Asked { plugins: Plugins::new(starter, tell), last: BTreeMap::new() }
    }

    fn ask(&mut self, service: &str, setup: &Setup, backends: Vec<Backend>) {
        let now = Instant::now();
        let known = self.last.get(service);
        let asks = known.is_none_or(|(asked, at)| *asked != backends || *at + EVERY <= now);
        if asks {
            self.last.insert(service.to_owned(), (backends.clone(), now));
            self.plugins.ask(service, setup, backends);
        }
    }

    fn keep(&mut self, services: &BTreeSet<String>) {
        let gone: Vec<String> =
            self.last.keys().filter(|name| !services.contains(*name)).cloned().collect();
        for name in gone {
            self.last.remove(&name);
            self.plugins.retire(&name);
        }
    }
}

impl World {
    /// The policy of a service of an app: a plugin's answer, while one stands.
    pub(super) fn policy_of(&self, name: &Name, balanced: &Balanced) -> Policy {
        let Some(plugin) = &balanced.plugin else { return wanted::policy(&balanced.policy) };
        let asked = self.balance.asked.as_ref();
        match asked.map(|asked| asked.plugins.standing(name.as_str())) {
            Some(Standing::Answer(answer) | Standing::Kept(answer)) => Policy::Given(answer),
            _ => wanted::policy(plugin.fallback.as_deref().unwrap_or_default()),
        }
    }

    /// Ask every plugin about its service as it is now.
    pub(super) fn ask_plugins(&mut self) {
        let questions = self.questions();
        let Some(asked) = &mut self.balance.asked else { return };
        asked.keep(&questions.iter().map(|(name, ..)| name.clone()).collect());
        for (name, setup, backends) in questions {
            asked.ask(&name, &setup, backends);
        }
    }

    /// Whether some service goes by what a plugin says.
    pub(super) fn has_plugins(&self) -> bool {
        self.balance.asked.as_ref().is_some_and(|asked| !asked.last.is_empty())
    }

    /// What stands of a plugin's answers has changed.
    pub(in crate::daemon) fn is_answered(&mut self, news: &News) {
        let News { service, failure, .. } = news;
        if let Some(failure) = failure {
            let text = format!("{service}: {failure}");
            self.chronicle.add(About::default(), EventKind::Warning, text);
        }
        self.serve();
    }

    fn questions(&self) -> Vec<(String, Setup, Vec<Backend>)> {
        let mut all = Vec::new();
        for one in self.served() {
            let Some(balanced) = &one.service.balanced else { continue };
            let Some(plugin) = &balanced.plugin else { continue };
            let Some(app) = self.apps.get(one.app) else { continue };
            let Some(version) = app.versions.get(&app.record.target) else { continue };
            let of = OfPolicy {
                source: version.source.clone(),
                policy: balanced.policy.clone(),
                deployer: version.deployer.clone(),
                kept: true,
            };
            let deadline = plugin.deadline_ms.map_or(DEADLINE, Duration::from_millis);
            let setup = Setup { of, deadline };
            for name in one.service.ports.iter().filter_map(|port| one.name(port)) {
                let chosen =
                    self.balance.said(name.as_str()).is_some_and(|one| one.policy.is_some());
                let Some(service) = self.balance.registry.service(&name).filter(|_| !chosen) else {
                    continue;
                };
                all.push((name.to_string(), setup.clone(), self.seen(service)));
            }
        }
        all
    }

    /// A service's backends as a plugin sees them.
    fn seen(&self, service: &Registered) -> Vec<Backend> {
        let backends = service.backends().map(|(id, backend)| Backend {
            id: id.to_string(),
            address: backend.given().target.get().to_string(),
            healthy: backend.state() == State::Serving,
            draining: backend.state() == State::Draining,
            weight: backend.given().weight.get().into(),
            connections: self.balance.count_of(service, backend),
            rate: None,
            latency_ms: None,
            cpu: None,
            memory: None,
            labels: BTreeMap::new(),
            version: backend.given().version.clone(),
        });
        backends.collect()
    }
}
