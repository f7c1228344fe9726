//! One service's instances on their way to a version.
//!
//! Owns how many are stopped and started at a time. Invariant: beside, there is at most one
//! instance more than wanted, and what serves is not stopped before as many serve without it; in
//! place, nothing is started before there is room among as many as are wanted.

use std::collections::BTreeSet;

use super::app::Member;
use super::{Decision, DesiredApp, InstanceId, Service, StopReason, Takeover};

/// A service of the target, and its instances.
#[derive(Debug)]
pub(super) struct Crew<'a> {
    app: &'a DesiredApp,
    /// What the target wants.
    pub service: &'a Service,
    takeover: Takeover,
    /// Instances that are what the target wants and stay, as many as it wants at most.
    current: Vec<Member<'a>>,
    /// Others that are what the target wants: more than it wants.
    surplus: Vec<Member<'a>>,
    /// Instances that stay and are not what the target wants.
    old: Vec<Member<'a>>,
    /// The numbers that are not to be had.
    taken: BTreeSet<u32>,
}

impl<'a> Crew<'a> {
    /// Sort a service's instances.
    pub(super) fn of(app: &'a DesiredApp, service: &'a Service, members: &[Member<'a>]) -> Self {
        let own = || members.iter().copied().filter(|member| member.service() == service.name);
        let staying = own().filter(|member| member.stays());
        let (mut current, mut old): (Vec<_>, Vec<_>) =
            staying.partition(|member| is_current(app, service, *member));
        let takeover = takeover(app, service, own());
        // What goes first comes last.
        match takeover {
            // Scaling down must not leave the one that fails.
            Takeover::Beside => current.sort_by_key(|member| (!member.serves(), member.id.number)),
            // A number may have its own port and directory, so people count on it.
            Takeover::Replace => current.sort_by_key(|member| member.id.number),
        }
        let surplus = current.split_off(current.len().min(service.count as usize));
        // What goes first comes first: what fails, then what a rollback would not want.
        old.sort_by_key(|member| {
            let number = member.id.number;
            let has_place = takeover == Takeover::Beside || number <= service.count;
            (member.serves(), is_wanted_back(app, *member), has_place, number)
        });
        let taken = own().filter(|member| member.is_there()).map(|member| member.id.number);
        Self { app, service, takeover, current, surplus, old, taken: taken.collect() }
    }

    /// The instances that the target wants and has.
    pub(super) fn current(&self) -> &[Member<'a>] {
        &self.current
    }

    /// Whoever needs this service can start.
    pub(super) fn serves(&self) -> bool {
        // Nothing is waited for that nobody is going to start.
        self.service.count == 0 || self.current.iter().any(|member| member.serves())
    }

    /// Every instance that the target wants serves.
    pub(super) fn is_complete(&self) -> bool {
        self.serving() == self.wanted()
    }

    /// There are fewer instances than the target wants.
    pub(super) fn lacks(&self) -> bool {
        self.current.len() < self.wanted()
    }

    /// What is to be stopped now. `can_start`: a replacement would not have to wait.
    pub(super) fn stops(&self, can_start: bool) -> Vec<Decision> {
        let surplus = self.surplus.iter().map(|member| member.stop(StopReason::ScaledDown));
        let mut decisions: Vec<_> = surplus.collect();
        let leaving = match self.takeover {
            Takeover::Beside => self.relieved(),
            Takeover::Replace => self.making_room(can_start),
        };
        decisions
            .extend(self.old.iter().take(leaving).map(|member| member.stop(self.why(*member))));
        decisions
    }

    /// What is to be started now, if what it needs serves.
    pub(super) fn starts(&self, app: &str) -> Vec<Decision> {
        let room = match self.takeover {
            Takeover::Beside => self.wanted().saturating_add(1),
            Takeover::Replace => self.wanted(),
        };
        let room = room.saturating_sub(self.taken.len());
        let lacking = self.wanted().saturating_sub(self.current.len());
        let free = (1..=u32::MAX).filter(|number| !self.taken.contains(number));
        let start = |number| Decision::Start {
            id: InstanceId { app: app.to_owned(), service: self.service.name.clone(), number },
            version: self.app.target,
        };
        free.take(lacking.min(room)).map(start).collect()
    }

    /// How many old ones end because others serve in their stead, or because they never did.
    fn relieved(&self) -> usize {
        let useless =
            |member: &&Member<'_>| !member.serves() && !is_wanted_back(self.app, **member);
        let useless = self.old.iter().filter(useless).count();
        let kept = self.wanted().saturating_sub(self.serving());
        useless.max(self.old.len().saturating_sub(kept))
    }

    /// How many old ones end so that others can start in their places.
    fn making_room(&self, can_start: bool) -> usize {
        let failing = self.old.iter().filter(|member| !member.serves()).count();
        let places = self.wanted().saturating_sub(self.current.len());
        let leaving = failing.max(self.old.len().saturating_sub(places));
        if leaving > 0 {
            return leaving;
        }
        // What serves goes one by one, and only while all of the others do.
        let full = self.taken.len() >= self.wanted();
        let settled = self.taken.len() == self.current.len() + self.old.len();
        let serving = self.serving() == self.current.len();
        usize::from(can_start && full && settled && serving && !self.old.is_empty())
    }

    fn why(&self, member: Member<'_>) -> StopReason {
        let by = self.app.target;
        let behind = member.instance.generation < self.app.generation(member.service());
        match member.instance.version == by && behind {
            true => StopReason::Restarted,
            false => StopReason::Replaced { by },
        }
    }

    fn wanted(&self) -> usize {
        self.service.count as usize
    }

    fn serving(&self) -> usize {
        self.current.iter().filter(|member| member.serves()).count()
    }
}

/// The instance is what the target would start, whichever version started it.
fn is_current(app: &DesiredApp, service: &Service, member: Member<'_>) -> bool {
    member.instance.fingerprint == service.fingerprint
        && member.instance.generation >= app.generation(&service.name)
}

/// How the target's instances take over. What an old one holds alone, as its own version says, has
/// one holder although the target would share it.
fn takeover<'a>(
    app: &DesiredApp,
    service: &Service,
    mut own: impl Iterator<Item = Member<'a>>,
) -> Takeover {
    let holds_alone = |member: Member<'_>| {
        let is_old = !(member.stays() && is_current(app, service, member));
        let own = app.service_of(member.id, member.instance);
        member.is_there() && is_old && own.is_some_and(|own| own.takeover == Takeover::Replace)
    };
    if own.any(holds_alone) { Takeover::Replace } else { service.takeover }
}

/// A rollback would go on with the instance.
fn is_wanted_back(app: &DesiredApp, member: Member<'_>) -> bool {
    app.promoted == Some(member.instance.version)
}
