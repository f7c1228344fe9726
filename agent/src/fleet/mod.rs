//! What to do next for all apps of the host.
//!
//! Owns the way from what is wanted to what there is: [`decide`] compares both and names the next
//! steps, none of which has to wait for another. Invariant: pure, total and level-triggered. It
//! remembers nothing, so a crash at any instant is continued by asking again; and a decision that
//! was carried out is not made again, so asking until there are none comes to an end. Never
//! restarts what fails: that is the supervisor's ([`crate::supervise::instance`]).
//!
//! | module | owns |
//! | --- | --- |
//! | [`desired`] | apps, versions, services, as asked for |
//! | [`actual`] | instances, as they are |
//! | [`decision`] | what is to be done, in words |
//! | [`needs`] | the order of services |
//! | [`app`] | one app's instances; its end |
//! | [`rollout`] | one app on its way to a version |
//! | [`takeover`] | one service's instances on their way to a version |

mod actual;
mod app;
mod decision;
mod desired;
mod needs;
mod rollout;
mod takeover;

use std::collections::BTreeMap;

pub use actual::{Actual, ActualInstance, InstanceId};
pub use decision::{Decision, StopReason};
pub use desired::{Desired, DesiredApp, Service, Takeover, Version, Wanted};

use app::Member;

/// What to do now. Carry all of it out in this order, and ask again until there is nothing.
pub fn decide(desired: &Desired, actual: &Actual) -> Vec<Decision> {
    let mut apps: BTreeMap<&str, Vec<Member<'_>>> = BTreeMap::new();
    for name in desired.apps.keys() {
        apps.entry(name).or_default();
    }
    for (id, instance) in &actual.instances {
        apps.entry(&id.app).or_default().push(Member { id, instance });
    }
    let mut decisions = Vec::new();
    for (name, members) in apps {
        decisions.extend(match desired.apps.get(name) {
            Some(app) if app.wanted == Wanted::Running => rollout::decide(name, app, &members),
            Some(app) => app::end(name, app, &members),
            None => app::end_unknown(&members),
        });
    }
    decisions
}
