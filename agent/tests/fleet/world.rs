//! A host in memory: what is desired, and instances that do what the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::fleet::{
    Actual, ActualInstance, Decision, Desired, DesiredApp, InstanceId, Version, Wanted, decide,
};
use agent::supervise::instance::{Action, Ending, Happening, Instance, State, Timing};

use super::check;

/// So many rounds of decisions without anything happening are a circle.
const ROUNDS: usize = 100;

/// An instance, and what it was started as.
#[derive(Debug, Clone)]
pub struct Unit {
    pub version: u32,
    pub fingerprint: String,
    pub generation: u64,
    pub instance: Instance,
}

impl Unit {
    pub fn state(&self) -> State {
        self.instance.state()
    }

    pub fn is_there(&self) -> bool {
        self.state() != State::Stopped
    }
}

#[derive(Debug, Default)]
pub struct World {
    pub desired: Desired,
    pub units: BTreeMap<InstanceId, Unit>,
    pub now: Duration,
    /// Versions that were rolled back, and not asked for again.
    pub failed: BTreeSet<(String, u32)>,
}

impl World {
    pub fn actual(&self) -> Actual {
        let instance = |unit: &Unit| {
            ActualInstance::of(unit.version, &unit.fingerprint, unit.generation, &unit.instance)
        };
        let instances = self.units.iter().map(|(id, unit)| (id.clone(), instance(unit)));
        Actual { instances: instances.collect() }
    }

    /// Ask and carry out until there is nothing to do.
    pub fn settle(&mut self) -> Vec<Decision> {
        let mut all = Vec::new();
        for _ in 0..ROUNDS {
            let decisions = decide(&self.desired, &self.actual());
            if decisions.is_empty() {
                return all;
            }
            for decision in decisions {
                self.carry_out(&decision);
                all.push(decision);
            }
        }
        panic!("decisions without end: {:#?}", &all[all.len() - 10..]);
    }

    pub fn carry_out(&mut self, decision: &Decision) {
        check::decision(self, decision);
        match decision {
            Decision::Start { id, version } => {
                let app = &self.desired.apps[&id.app];
                let service = app.versions[version].service(&id.service).unwrap();
                let mut unit = Unit {
                    version: *version,
                    fingerprint: service.fingerprint.clone(),
                    generation: app.generation(&id.service),
                    instance: Instance::new(Timing::default(), self.now),
                };
                let action = unit.instance.on(Happening::Launch, self.now, 0.5);
                assert_eq!(action, Action::Start);
                self.units.insert(id.clone(), unit);
            }
            Decision::Stop { id, .. } => {
                self.tell(id, Happening::Stop);
            }
            Decision::Adopt { id, version } => {
                self.units.get_mut(id).unwrap().version = *version;
            }
            Decision::Forget { id } => {
                self.units.remove(id);
            }
            Decision::Promote { app } => {
                let app = self.desired.apps.get_mut(app).unwrap();
                app.promoted = Some(app.target);
            }
            Decision::RollBack { app: name, .. } => {
                let app = self.desired.apps.get_mut(name).unwrap();
                self.failed.insert((name.clone(), app.target));
                app.target = app.promoted.unwrap();
            }
            Decision::Gone { app } => {
                self.desired.apps.remove(app);
            }
        }
    }

    /// Tell an instance, if it can happen to it, what happened.
    pub fn tell(&mut self, id: &InstanceId, happening: Happening) -> Action {
        let unit = self.units.get_mut(id).unwrap_or_else(|| panic!("there is no {id}"));
        unit.instance.on(happening, self.now, 0.5)
    }

    /// Let an instance's deadline come.
    pub fn let_due(&mut self, id: &InstanceId) -> Action {
        let unit = self.units.get_mut(id).unwrap_or_else(|| panic!("there is no {id}"));
        self.now = self.now.max(unit.instance.deadline().unwrap_or(self.now));
        unit.instance.due(self.now, 0.5)
    }

    /// A version is deployed, or an earlier one asked for again.
    pub fn target(&mut self, app: &str, number: u32, version: Option<Version>) {
        self.failed.remove(&(app.to_owned(), number));
        let entry = self.desired.apps.entry(app.to_owned()).or_insert_with(|| DesiredApp {
            wanted: Wanted::Running,
            target: number,
            promoted: None,
            versions: BTreeMap::new(),
            restart: BTreeMap::new(),
        });
        entry.wanted = Wanted::Running;
        entry.target = number;
        entry.versions.extend(version.map(|version| (number, version)));
    }

    pub fn scale(&mut self, app: &str, service: &str, count: u32) {
        let Some(app) = self.desired.apps.get_mut(app) else { return };
        let services = app.versions.values_mut().flat_map(|version| &mut version.services);
        services.filter(|one| one.name == service).for_each(|one| one.count = count);
    }

    pub fn want(&mut self, app: &str, wanted: Wanted) {
        if let Some(app) = self.desired.apps.get_mut(app) {
            app.wanted = wanted;
        }
    }

    pub fn restart(&mut self, app: &str, service: &str) {
        if let Some(app) = self.desired.apps.get_mut(app) {
            *app.restart.entry(service.to_owned()).or_default() += 1;
        }
    }

    /// hostd dies and comes again: what it knew of instances is what it had written down. Its
    /// clock starts anew.
    pub fn crash(&mut self) {
        let before = std::mem::take(&mut self.now);
        self.units.retain(|_, unit| unit.is_there());
        for unit in self.units.values_mut() {
            let memory = unit.instance.memory(before);
            unit.instance = Instance::adopt(Timing::default(), memory, self.now, 0.5);
        }
    }

    /// All programs do what they should until nothing changes any more.
    pub fn heal(&mut self) {
        self.go_on(|_| true);
    }

    /// The same, but for programs that never become ready.
    pub fn go_on(&mut self, is_healthy: impl Fn(&Unit) -> bool) {
        for _ in 0..1000 {
            let ids: Vec<_> = self.units.keys().cloned().collect();
            let before = format!("{:?}", self.actual());
            for id in ids {
                // It may have been forgotten because of what became of another.
                let Some(unit) = self.units.get(&id) else { continue };
                match unit.state() {
                    State::Starting if is_healthy(unit) => self.tell(&id, Happening::Ready),
                    State::Stopping | State::Unhealthy => {
                        self.tell(&id, Happening::Ended(Ending::Exit(0)))
                    }
                    State::Running | State::Stopped => Action::None,
                    // Too late, steady, or tried again.
                    State::Starting | State::Ready => self.let_due(&id),
                    State::BackingOff | State::Failed | State::Draining => self.let_due(&id),
                };
                self.settle();
            }
            self.settle();
            if before == format!("{:?}", self.actual()) {
                return;
            }
        }
        panic!("it never comes to rest: {:#?}", self.actual());
    }
}
