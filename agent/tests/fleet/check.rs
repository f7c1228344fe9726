//! What must hold of every decision, at the moment it is carried out, and of a host at rest.
//! Written without a look at how decisions are made.

use std::collections::BTreeSet;

use agent::fleet::{Decision, DesiredApp, InstanceId, Service, StopReason, Takeover, Wanted};
use agent::supervise::instance::State;

use super::world::{Unit, World};

/// A decision that is about to be carried out.
pub fn decision(world: &World, decision: &Decision) {
    match decision {
        Decision::Start { id, version } => start(world, id, *version),
        Decision::Stop { id, why } => stop(world, id, *why),
        Decision::Adopt { id, version } => {
            let (app, unit) = (&world.desired.apps[&id.app], &world.units[id]);
            let wanted = app.versions[version].service(&id.service).unwrap();
            assert_eq!(*version, app.target, "{decision}");
            assert_eq!(unit.fingerprint, wanted.fingerprint, "{decision}");
            assert_ne!(unit.version, *version, "{decision}");
            assert!(!matches!(unit.state(), State::Stopping | State::Stopped), "{decision}");
        }
        Decision::Forget { id } => {
            assert_eq!(world.units[id].state(), State::Stopped, "{decision}");
        }
        Decision::Promote { app } => {
            let state = &world.desired.apps[app];
            assert_ne!(state.promoted, Some(state.target), "{decision}");
            assert!(!world.failed.contains(&(app.clone(), state.target)), "{decision}");
            assert_serving(world, app, state);
        }
        Decision::RollBack { app, .. } => {
            let state = &world.desired.apps[app];
            assert!(state.promoted.is_some_and(|promoted| promoted != state.target), "{decision}");
            let gave_up = |(id, unit): (&InstanceId, &Unit)| {
                id.app == *app && unit.version == state.target && unit.instance.gave_up().is_some()
            };
            assert!(world.units.iter().any(gave_up), "{decision}");
        }
        Decision::Gone { app } => {
            assert_eq!(world.desired.apps[app].wanted, Wanted::Removed, "{decision}");
            assert!(world.units.keys().all(|id| id.app != *app), "{decision}");
        }
    }
}

/// A host where nothing happens any more although all programs are healthy.
pub fn rest(world: &World) {
    for (name, app) in &world.desired.apps {
        match app.wanted {
            Wanted::Running => {
                assert_eq!(app.promoted, Some(app.target), "{name} was never promoted");
                assert_serving(world, name, app);
                let wanted: u32 =
                    app.versions[&app.target].services.iter().map(|one| one.count).sum();
                let there = world.units.keys().filter(|id| id.app == *name).count();
                assert_eq!(there, wanted as usize, "{name} has others: {:#?}", world.actual());
            }
            Wanted::Stopped => assert!(world.units.keys().all(|id| id.app != *name)),
            Wanted::Removed => panic!("{name} is not gone: {:#?}", world.actual()),
        }
    }
    assert!(world.units.keys().all(|id| world.desired.apps.contains_key(&id.app)));
}

/// As many of the target's instances serve as it wants, of its version each.
fn assert_serving(world: &World, name: &str, app: &DesiredApp) {
    for service in &app.versions[&app.target].services {
        let serving = others(world, name, &service.name).filter(|(_, unit)| {
            unit.instance.is_serving()
                && unit.version == app.target
                && unit.fingerprint == service.fingerprint
                && unit.generation == app.generation(&service.name)
        });
        assert!(serving.count() >= service.count as usize, "{name}.{}", service.name);
    }
}

fn start(world: &World, id: &InstanceId, version: u32) {
    let app = &world.desired.apps[&id.app];
    assert_eq!((app.wanted, app.target), (Wanted::Running, version), "start {id}");
    let target = &app.versions[&version];
    let service = target.service(&id.service).unwrap();
    assert!(world.units.get(id).is_none_or(|unit| !unit.is_there()), "{id} twice");

    let there = others(world, &id.app, &id.service).filter(|(_, unit)| unit.is_there()).count();
    let room = match takeover(world, id, service) {
        Takeover::Beside => service.count as usize + 1,
        Takeover::Replace => service.count as usize,
    };
    assert!(there < room, "{id} is one too many: {:#?}", world.actual());

    for need in service.needs.iter().filter_map(|need| target.service(need)) {
        let serves = |(_, unit): (&InstanceId, &Unit)| {
            unit.instance.is_serving() && unit.fingerprint == need.fingerprint
        };
        let served = others(world, &id.app, &need.name).any(serves);
        assert!(need.count == 0 || served, "{id} before {}: {:#?}", need.name, world.actual());
    }
}

fn stop(world: &World, id: &InstanceId, why: StopReason) {
    let unit = &world.units[id];
    assert!(!matches!(unit.state(), State::Stopping | State::Stopped), "stop {id} twice");
    let Some(app) = world.desired.apps.get(&id.app) else {
        return assert_eq!(why, StopReason::AppUnknown);
    };
    if app.wanted != Wanted::Running {
        return assert_unneeded(world, id);
    }
    let target = &app.versions[&app.target];
    let Some(service) = target.service(&id.service) else {
        assert_eq!(why, StopReason::Dropped { by: app.target }, "{id}");
        return assert_needed_no_more(world, id);
    };
    if unit.instance.is_serving() {
        assert_spared(world, id, service, why);
    }
}

/// The version that an instance would be wanted for again will not come back, or it may hold what
/// a new service waits for.
fn assert_needed_no_more(world: &World, id: &InstanceId) {
    let app = &world.desired.apps[&id.app];
    let serving = |service: &Service| {
        let serving = others(world, &id.app, &service.name).filter(|(_, unit)| {
            unit.instance.is_serving() && unit.fingerprint == service.fingerprint
        });
        serving.count()
    };
    let services = &app.versions[&app.target].services;
    let complete = services.iter().all(|one| serving(one) >= one.count as usize);
    let own = app.versions.get(&world.units[id].version);
    let holds = own
        .and_then(|own| own.service(&id.service))
        .is_some_and(|service| service.takeover == Takeover::Replace);
    let makes_way = holds
        && services.iter().any(|one| {
            let is_new = own.is_some_and(|own| own.service(&one.name).is_none());
            one.takeover == Takeover::Replace && is_new && serving(one) < one.count as usize
        });
    assert!(
        complete || makes_way || app.promoted == Some(app.target),
        "{id}: {:#?}",
        world.actual()
    );
}

/// In place, if the target says so or what an instance of another version says of itself.
fn takeover(world: &World, id: &InstanceId, service: &Service) -> Takeover {
    let app = &world.desired.apps[&id.app];
    let alone = others(world, &id.app, &id.service)
        .filter(|(_, unit)| unit.is_there() && unit.version != app.target)
        .filter_map(|(other, unit)| app.versions.get(&unit.version)?.service(&other.service))
        .any(|own| own.takeover == Takeover::Replace);
    if alone { Takeover::Replace } else { service.takeover }
}

/// An instance that serves is not missed when it is stopped.
fn assert_spared(world: &World, id: &InstanceId, service: &Service, why: StopReason) {
    let there: Vec<_> = others(world, &id.app, &id.service)
        .filter(|(other, unit)| *other != id && unit.is_there())
        .collect();
    let serving = there.iter().filter(|(_, unit)| unit.instance.is_serving()).count();
    let count = service.count as usize;
    match takeover(world, id, service) {
        Takeover::Beside => assert!(serving >= count, "{id}, {why}: {:#?}", world.actual()),
        // One at a time, or more than wanted.
        Takeover::Replace => {
            let one = serving == there.len() && there.len() + 1 == count;
            assert!(one || there.len() >= count, "{id}, {why}: {:#?}", world.actual());
        }
    }
}

/// Nothing that needs this instance's service, itself or by way of others, is there.
fn assert_unneeded(world: &World, id: &InstanceId) {
    let app = &world.desired.apps[&id.app];
    let mut needing = BTreeSet::from([id.service.as_str()]);
    loop {
        let before = needing.len();
        let live =
            world.units.iter().filter(|(other, unit)| other.app == id.app && unit.is_there());
        for (other, unit) in live {
            let version = app.versions.get(&unit.version);
            let needs = version
                .and_then(|version| version.service(&other.service)?.needs.as_slice().into());
            let known = |need: &&String| version.is_some_and(|one| one.service(need).is_some());
            let needs = needs.into_iter().flatten().filter(known);
            if needs.into_iter().any(|need| needing.contains(need.as_str())) {
                needing.insert(&other.service);
            }
        }
        if needing.len() == before {
            break;
        }
    }
    needing.remove(id.service.as_str());
    for (other, unit) in &world.units {
        let needs_it = other.app == id.app && needing.contains(other.service.as_str());
        assert!(!needs_it || !unit.is_there(), "{id} is stopped while {other} is there");
    }
}

/// All instances of a service.
fn others<'a>(
    world: &'a World,
    app: &'a str,
    service: &'a str,
) -> impl Iterator<Item = (&'a InstanceId, &'a Unit)> {
    world.units.iter().filter(move |(id, _)| id.app == app && id.service == service)
}
