//! One app on its way to its target, or there.
//!
//! Owns when a version is promoted and when it is rolled back. Invariant: services go in the order
//! of their needs, and a service that the target has no more goes last, unless it is in the way.

use std::collections::BTreeMap;

use super::app::{self, Member};
use super::needs::Needs;
use super::takeover::Crew;
use super::{Decision, DesiredApp, InstanceId, StopReason, Takeover, Version};

/// An app, its target, and its instances by the target's services.
struct Rollout<'a> {
    name: &'a str,
    app: &'a DesiredApp,
    target: &'a Version,
    members: &'a [Member<'a>],
    crews: BTreeMap<&'a str, Crew<'a>>,
    needs: Needs<'a>,
}

/// What to do now for an app that should run.
pub(super) fn decide(name: &str, app: &DesiredApp, members: &[Member<'_>]) -> Vec<Decision> {
    // Without the version nobody knows what is wanted: nothing is touched.
    let Some(target) = app.versions.get(&app.target) else { return Vec::new() };
    let services = target.services.iter();
    let rollout = Rollout {
        name,
        app,
        target,
        members,
        crews: services.map(|one| (one.name.as_str(), Crew::of(app, one, members))).collect(),
        needs: Needs::of(target.services.iter().map(|one| (target, one))),
    };
    if let Some(reason) = rollout.failure() {
        return vec![Decision::RollBack { app: name.to_owned(), reason }];
    }
    let mut decisions = rollout.adoptions();
    if rollout.is_complete() && app.promoted != Some(app.target) {
        decisions.push(Decision::Promote { app: name.to_owned() });
    }
    decisions.extend(rollout.takeovers());
    decisions.extend(rollout.drops());
    let forgotten = rollout.stopped_besides(&decisions);
    decisions.extend(forgotten);
    decisions
}

impl<'a> Rollout<'a> {
    /// Why the target will not make it, if there is a version to go back to.
    fn failure(&self) -> Option<String> {
        let fallback = self.app.fallback()?;
        for (name, crew) in &self.crews {
            // What fails in both versions is no reason to change between them.
            let before = fallback.service(name);
            if before.is_some_and(|before| before.fingerprint == crew.service.fingerprint) {
                continue;
            }
            let own = |member: &&Member<'_>| member.instance.version == self.app.target;
            for member in crew.current().iter().filter(own) {
                if let Some(why) = &member.instance.gave_up {
                    return Some(format!("{name}.{}: {why}", member.id.number));
                }
            }
        }
        None
    }

    /// Instances of other versions that are what the target wants.
    fn adoptions(&self) -> Vec<Decision> {
        let version = self.app.target;
        let current = self.crews.values().flat_map(Crew::current);
        let others = current.filter(|member| member.instance.version != version);
        others.map(|member| Decision::Adopt { id: member.id.clone(), version }).collect()
    }

    fn is_complete(&self) -> bool {
        self.crews.values().all(Crew::is_complete)
    }

    /// Stops and starts of the target's services, needs first.
    fn takeovers(&self) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for crew in self.needs.order().iter().filter_map(|service| self.crews.get(service)) {
            let can_start = self.can_start(crew);
            decisions.extend(crew.stops(can_start));
            if can_start && self.in_the_way_of(crew).next().is_none() {
                decisions.extend(crew.starts(self.name));
            }
        }
        decisions
    }

    /// Stops of services that the target has no more.
    fn drops(&self) -> Vec<Decision> {
        // Until the target serves, the promoted version may be needed again.
        let settled = self.is_complete() || self.app.promoted == Some(self.app.target);
        let waiting = || self.crews.values().filter(|crew| crew.lacks() && self.can_start(crew));
        let in_the_way: Vec<&InstanceId> =
            waiting().flat_map(|crew| self.in_the_way_of(crew)).map(|member| member.id).collect();
        let needs = app::needs(self.app, self.members);
        let mut decisions = Vec::new();
        for member in self.dropped().filter(|member| member.stays()) {
            let late = settled && app::is_unneeded(member, &needs, self.members);
            if late || in_the_way.contains(&member.id) {
                decisions.push(member.stop(StopReason::Dropped { by: self.app.target }));
            }
        }
        decisions
    }

    /// Stopped instances whose place nobody takes now.
    fn stopped_besides(&self, decisions: &[Decision]) -> Vec<Decision> {
        let started = |member: &Member<'_>| {
            let it = |decision: &Decision| matches!(decision, Decision::Start { id, .. } if id == member.id);
            decisions.iter().any(it)
        };
        let stopped = self.members.iter().filter(|member| !member.is_there());
        stopped.filter(|member| !started(member)).map(|member| member.forget()).collect()
    }

    /// Everything that a service needs serves.
    fn can_start(&self, crew: &Crew<'_>) -> bool {
        let needs = self.needs.of_service(&crew.service.name);
        needs.filter_map(|need| self.crews.get(need)).all(Crew::serves)
    }

    /// Instances of services that the target has no more.
    fn dropped(&self) -> impl Iterator<Item = Member<'a>> {
        let target = self.target;
        self.members.iter().copied().filter(|member| target.service(member.service()).is_none())
    }

    /// Who may hold what a service wants to start with. A service with another name may be the
    /// same one renamed, with the same port or directory.
    fn in_the_way_of(&self, crew: &Crew<'_>) -> impl Iterator<Item = Member<'a>> {
        let replaces = crew.service.takeover == Takeover::Replace;
        let name = crew.service.name.clone();
        let app = self.app;
        self.dropped().filter(move |member| {
            let version = app.versions.get(&member.instance.version);
            let is_new = version.is_some_and(|version| version.service(&name).is_none());
            let own = app.service_of(member.id, member.instance);
            let holds = is_new && own.is_some_and(|own| own.takeover == Takeover::Replace);
            replaces && holds && member.is_there()
        })
    }
}
