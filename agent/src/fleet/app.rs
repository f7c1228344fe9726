//! One app's instances, and how an app ends: in the reverse of the order it was started in.

use super::needs::Needs;
use super::{ActualInstance, Decision, DesiredApp, InstanceId, StopReason, Wanted};
use crate::supervise::instance::State;

/// One instance of the app.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    /// Which.
    pub id: &'a InstanceId,
    /// Where it stands.
    pub instance: &'a ActualInstance,
}

impl<'a> Member<'a> {
    /// Its service's name.
    pub(super) fn service(self) -> &'a str {
        &self.id.service
    }

    /// It runs, or will by itself: nobody has asked it to end for good.
    pub(super) fn stays(self) -> bool {
        !matches!(self.instance.state, State::Draining | State::Stopping | State::Stopped)
    }

    /// It may still be asked to end: one that drains does so at its own pace.
    pub(super) fn can_stop(self) -> bool {
        self.stays() || self.instance.state == State::Draining
    }

    /// It has its number, and what goes with that.
    pub(super) fn is_there(self) -> bool {
        self.instance.state != State::Stopped
    }

    /// It does what it is there for.
    pub(super) fn serves(self) -> bool {
        self.instance.state.is_serving()
    }

    /// The decision to stop it.
    pub(super) fn stop(self, why: StopReason) -> Decision {
        Decision::Stop { id: self.id.clone(), why }
    }

    /// The decision to forget it.
    pub(super) fn forget(self) -> Decision {
        Decision::Forget { id: self.id.clone() }
    }
}

/// The order among services as the instances that are there know it, each by its own version.
pub(super) fn needs<'a>(app: &'a DesiredApp, members: &[Member<'_>]) -> Needs<'a> {
    let there = members.iter().filter(|member| member.is_there());
    Needs::of(there.filter_map(|member| {
        let version = app.versions.get(&member.instance.version)?;
        Some((version, version.service(member.service())?))
    }))
}

/// Nothing that needs this instance is there any more.
pub(super) fn is_unneeded(member: Member<'_>, needs: &Needs<'_>, members: &[Member<'_>]) -> bool {
    let dependents = needs.dependents(member.service());
    !members.iter().any(|other| other.is_there() && dependents.contains(other.service()))
}

/// An app that is to stop or to be removed.
pub(super) fn end(name: &str, app: &DesiredApp, members: &[Member<'_>]) -> Vec<Decision> {
    if members.is_empty() && app.wanted == Wanted::Removed {
        return vec![Decision::Gone { app: name.to_owned() }];
    }
    let why = match app.wanted {
        Wanted::Removed => StopReason::AppRemoved,
        Wanted::Running | Wanted::Stopped => StopReason::AppStopped,
    };
    let needs = needs(app, members);
    let mut decisions = Vec::new();
    for member in members {
        if !member.is_there() {
            decisions.push(member.forget());
        } else if member.can_stop() && is_unneeded(*member, &needs, members) {
            decisions.push(member.stop(why));
        }
    }
    decisions
}

/// Instances of an app that nobody asked for. Who needs whom is not known of them.
pub(super) fn end_unknown(members: &[Member<'_>]) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for member in members {
        if !member.is_there() {
            decisions.push(member.forget());
        } else if member.can_stop() {
            decisions.push(member.stop(StopReason::AppUnknown));
        }
    }
    decisions
}
