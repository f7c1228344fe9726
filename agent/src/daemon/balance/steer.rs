//! From what should be balanced to the changes that make the registry that.
//!
//! Invariant: pure and level-triggered. It is told the whole each time, so whatever was missed is
//! made up for; a backend goes through the states of the registry's own table, and one that drains
//! is never taken back: it comes again as a new one.

use std::collections::{BTreeMap, BTreeSet};

use loadbalancer::policy::Policy;
use loadbalancer::registry::{
    Affinity, Backend, BackendId, Change, Event, Listen, Name, NewBackend, Refused, Registry,
    Service, State, Unserved,
};

/// A service as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Who has the name, in words.
    pub holder: String,
    /// Where clients find it.
    pub listens: Vec<Listen>,
    /// How a backend is chosen.
    pub policy: Policy,
    /// For how long clients stay.
    pub affinity: Option<Affinity>,
    /// What they meet when nobody serves.
    pub unserved: Unserved,
    /// Who serves them.
    pub backends: BTreeMap<BackendId, WantedBackend>,
}

/// A backend as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedBackend {
    /// Where, and what it counts for.
    pub given: NewBackend,
    /// How it stands: registered, serving, draining or down.
    pub state: State,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Steered {
    /// Services that are not what they were.
    pub touched: BTreeSet<Name>,
    /// What could not be had.
    pub refused: Vec<Refused>,
}

/// Make a registry what is wanted.
pub fn steer(registry: &mut Registry, wanted: &BTreeMap<Name, Wanted>) -> Steered {
    let mut steered = Steered::default();
    // What goes makes room for what comes.
    let is_over = |(name, service): &(&Name, &Service)| {
        wanted.get(*name).is_none_or(|wanted| has_moved(service, wanted))
    };
    let over: Vec<Name> =
        registry.services().filter(is_over).map(|(name, _)| name.clone()).collect();
    for name in over {
        steered.apply(registry, Change::Release(name));
    }
    for (name, wanted) in wanted {
        match registry.service(name) {
            None => {
                let registered = steered.apply(registry, register(name, wanted));
                if !registered {
                    continue;
                }
            }
            Some(service) if *service.policy() != wanted.policy => {
                steered.apply(registry, Change::Choose(name.clone(), wanted.policy.clone()));
            }
            Some(_) => {}
        }
        for change in of_backends(registry, name, wanted) {
            steered.apply(registry, change);
        }
    }
    steered
}

impl Steered {
    fn apply(&mut self, registry: &mut Registry, change: Change) -> bool {
        match registry.apply(change) {
            Ok(name) => {
                self.touched.insert(name);
                true
            }
            Err(refused) => {
                self.refused.push(refused);
                false
            }
        }
    }
}

/// Where it is found, or what happens there, is another matter: it is registered anew.
fn has_moved(service: &Service, wanted: &Wanted) -> bool {
    service.holder() != wanted.holder
        || service.listens() != wanted.listens
        || service.affinity() != wanted.affinity
        || service.unserved() != wanted.unserved
}

fn register(name: &Name, wanted: &Wanted) -> Change {
    Change::Register {
        name: name.clone(),
        holder: wanted.holder.clone(),
        listens: wanted.listens.clone(),
        policy: wanted.policy.clone(),
        affinity: wanted.affinity,
        unserved: wanted.unserved,
    }
}

/// The changes of a service's backends; those that go first.
fn of_backends(registry: &Registry, name: &Name, wanted: &Wanted) -> Vec<Change> {
    let known: BTreeMap<&BackendId, &Backend> =
        registry.service(name).into_iter().flat_map(Service::backends).collect();
    let report = |id: &BackendId, event| Change::Report(name.clone(), id.clone(), event);
    let mut changes = Vec::new();
    let is_other = |id: &BackendId, there: &Backend| {
        wanted.backends.get(id).is_none_or(|wanted| is_another(there, wanted))
    };
    let gone: BTreeSet<&BackendId> =
        known.iter().filter(|(id, there)| is_other(id, there)).map(|(id, _)| *id).collect();
    changes.extend(gone.iter().map(|id| report(id, Event::Gone)));
    for (id, wanted) in &wanted.backends {
        let there = known.get(id).filter(|_| !gone.contains(id));
        match there {
            // Nobody was ever sent to it.
            None if wanted.state == State::Draining => continue,
            None => changes.push(Change::Add(name.clone(), id.clone(), wanted.given.clone())),
            Some(there) if there.given().weight != wanted.given.weight => {
                changes.push(Change::Weigh(name.clone(), id.clone(), wanted.given.weight));
            }
            Some(_) => {}
        }
        let now = there.map_or(State::Registered, |there| there.state());
        changes.extend(way(now, wanted.state).iter().map(|event| report(id, *event)));
    }
    changes
}

/// It is no longer the same backend, or can't become what it should be.
fn is_another(there: &Backend, wanted: &WantedBackend) -> bool {
    let (given, new) = (there.given(), &wanted.given);
    let same = given.target == new.target && given.place == new.place;
    let returns = match (there.state(), wanted.state) {
        (State::Draining, State::Draining) => false,
        (State::Draining, _) => true,
        (State::Serving | State::Down | State::Healthy, State::Registered) => true,
        _ => false,
    };
    !same || given.version != new.version || returns
}

/// What happens to a backend on its way from one state to another.
fn way(now: State, wanted: State) -> &'static [Event] {
    match (now, wanted) {
        (State::Registered | State::Down, State::Serving) => &[Event::Passed, Event::Shift],
        (State::Healthy, State::Serving) => &[Event::Shift],
        (State::Registered | State::Healthy | State::Serving, State::Down) => &[Event::Failed],
        (State::Draining, State::Draining) => &[],
        (_, State::Draining) => &[Event::Drain],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use loadbalancer::nft::Transport;
    use loadbalancer::registry::{At, Place, Target, Weight};
    use proptest::prelude::*;

    use super::*;

    fn backend(address: u8, state: State, version: &str) -> WantedBackend {
        let target = Target::new(([10, 99, 0, address], 80).into()).unwrap();
        let version = Some(version.to_owned());
        let given = NewBackend { target, place: Place::Local, weight: Weight::USUAL, version };
        WantedBackend { given, state }
    }

    fn id(number: usize) -> BackendId {
        BackendId::new(&format!("web.main.{number}")).unwrap()
    }

    fn web(port: u16, backends: &[(usize, WantedBackend)]) -> BTreeMap<Name, Wanted> {
        let port = port.try_into().unwrap();
        let wanted = Wanted {
            holder: "web".to_owned(),
            listens: vec![Listen { at: At::Any, transport: Transport::Tcp, port }],
            policy: Policy::RoundRobin,
            affinity: None,
            unserved: Unserved::Refuse,
            backends: backends.iter().map(|(number, one)| (id(*number), one.clone())).collect(),
        };
        [(Name::new("web").unwrap(), wanted)].into()
    }

    fn states(registry: &Registry) -> Vec<(String, State)> {
        let services = registry.services().flat_map(|(_, service)| service.backends());
        services.map(|(id, backend)| (id.to_string(), backend.state())).collect()
    }

    #[test]
    fn a_new_version_takes_over() {
        let mut registry = Registry::default();
        let old = |state| (1, backend(1, state, "1"));
        let new = |state| (2, backend(2, state, "2"));
        let mut put = |all: &[(usize, WantedBackend)]| {
            let steered = steer(&mut registry, &web(80, all));
            assert_eq!(steered.refused, []);
            (steered.touched.len(), states(&registry))
        };
        let name = |number: usize| format!("web.main.{number}");
        assert_eq!(put(&[old(State::Serving)]), (1, vec![(name(1), State::Serving)]));
        assert_eq!(put(&[old(State::Serving)]).0, 0, "what is so is not touched");
        put(&[old(State::Serving), new(State::Registered)]);
        let both = vec![(name(1), State::Draining), (name(2), State::Serving)];
        assert_eq!(put(&[old(State::Draining), new(State::Serving)]), (1, both));
        assert_eq!(put(&[new(State::Serving)]), (1, vec![(name(2), State::Serving)]));
    }

    #[test]
    fn a_service_that_moves_takes_its_backends_along() {
        let mut registry = Registry::default();
        let one = [(1, backend(1, State::Serving, "1"))];
        steer(&mut registry, &web(80, &one));
        let steered = steer(&mut registry, &web(81, &one));
        assert_eq!((steered.touched.len(), steered.refused), (1, vec![]));
        assert_eq!(states(&registry), [("web.main.1".to_owned(), State::Serving)]);
        assert_eq!(steer(&mut registry, &BTreeMap::new()).touched.len(), 1);
        assert_eq!(registry, Registry::default());
    }

    fn wanted() -> impl Strategy<Value = BTreeMap<Name, Wanted>> {
        let states = vec![State::Registered, State::Serving, State::Draining, State::Down];
        let one = (1_usize..5, 0_u8..2, prop::sample::select(states), "[12]");
        let backends = prop::collection::vec(one, 0..5);
        (80_u16..82, backends).prop_map(|(port, backends)| {
            let all: Vec<_> = backends
                .into_iter()
                .map(|(number, moved, state, version)| {
                    (number, backend(number as u8 * 2 + moved, state, &version))
                })
                .collect();
            web(port, &all)
        })
    }

    proptest! {
        #[test]
        fn whatever_was_it_is_what_is_wanted(all in prop::collection::vec(wanted(), 1..12)) {
            let mut registry = Registry::default();
            for wanted in &all {
                let steered = steer(&mut registry, wanted);
                prop_assert_eq!(&steered.refused, &[]);
                for (name, wanted) in wanted {
                    let service = registry.service(name).unwrap();
                    for (id, wanted) in &wanted.backends {
                        let found = service.backends().find(|(known, _)| *known == id);
                        let state = found.map(|(_, one)| one.state());
                        match wanted.state {
                            State::Draining => prop_assert!(state.is_none_or(|one| one == State::Draining)),
                            other => prop_assert_eq!(state, Some(other)),
                        }
                    }
                    prop_assert!(service.backends().all(|(id, _)| wanted.backends.contains_key(id)));
                }
                prop_assert_eq!(steer(&mut registry, wanted).touched.len(), 0);
            }
        }
    }
}
