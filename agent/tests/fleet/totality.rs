//! States of the world that no way leads to: decisions are made of them all the same.

use std::collections::BTreeMap;

use agent::fleet::{
    Actual, ActualInstance, Decision, Desired, DesiredApp, InstanceId, Service, StopReason,
    Takeover, Version, Wanted, decide,
};
use agent::supervise::instance::State;

fn id(app: &str, service: &str, number: u32) -> InstanceId {
    InstanceId { app: app.to_owned(), service: service.to_owned(), number }
}

fn instance(version: u32, state: State) -> ActualInstance {
    let fingerprint = "a".to_owned();
    ActualInstance { version, fingerprint, generation: 0, state, gave_up: None }
}

fn service(name: &str, needs: &[&str]) -> Service {
    Service {
        name: name.to_owned(),
        count: 1,
        needs: needs.iter().map(ToString::to_string).collect(),
        takeover: Takeover::Beside,
        fingerprint: "a".to_owned(),
    }
}

fn app(wanted: Wanted, target: u32, versions: &[(u32, &[Service])]) -> DesiredApp {
    let version =
        |(number, services): &(u32, &[Service])| (*number, Version { services: services.to_vec() });
    let versions = versions.iter().map(version).collect();
    DesiredApp { wanted, target, promoted: None, versions, restart: BTreeMap::new() }
}

fn desired(app: DesiredApp) -> Desired {
    Desired { apps: BTreeMap::from([("shop".to_owned(), app)]) }
}

#[test]
fn nothing_of_an_app_without_its_version_is_touched() {
    let desired = desired(app(Wanted::Running, 2, &[(1, &[service("web", &[])])]));
    let instances = BTreeMap::from([(id("shop", "web", 1), instance(1, State::Running))]);
    assert_eq!(decide(&desired, &Actual { instances }), []);
}

#[test]
fn what_belongs_to_nobody_is_stopped_and_forgotten() {
    let instances = BTreeMap::from([
        (id("lost", "web", 1), instance(1, State::Running)),
        (id("lost", "web", 2), instance(1, State::Stopped)),
        (id("lost", "web", 3), instance(1, State::Stopping)),
    ]);
    let decisions = decide(&Desired::default(), &Actual { instances });
    let why = StopReason::AppUnknown;
    let expected = [
        Decision::Stop { id: id("lost", "web", 1), why },
        Decision::Forget { id: id("lost", "web", 2) },
    ];
    assert_eq!(decisions, expected);
}

#[test]
fn an_instance_of_a_forgotten_version_is_replaced_and_ends_with_its_app() {
    let mut forgotten = instance(7, State::Running);
    forgotten.fingerprint = "z".to_owned();
    let mut actual = Actual { instances: BTreeMap::from([(id("shop", "web", 1), forgotten)]) };
    let web = [service("web", &[])];
    let decisions = decide(&desired(app(Wanted::Running, 2, &[(2, &web)])), &actual);
    assert_eq!(decisions, [Decision::Start { id: id("shop", "web", 2), version: 2 }]);
    let stopped = desired(app(Wanted::Stopped, 2, &[(2, &web)]));
    let why = StopReason::AppStopped;
    assert_eq!(decide(&stopped, &actual), [Decision::Stop { id: id("shop", "web", 1), why }]);
    actual.instances.clear();
    assert_eq!(decide(&stopped, &actual), []);
}

/// Its order can't be right, so all that counts is that it comes to an end.
#[test]
fn a_circle_of_needs_starts_and_ends_all_the_same() {
    let circle = [service("a", &["b"]), service("b", &["a"]), service("c", &["c", "nobody"])];
    let mut desired = desired(app(Wanted::Running, 1, &[(1, &circle)]));
    let mut actual = Actual::default();
    settle(&mut desired, &mut actual);
    assert_eq!(actual.instances.len(), 3);
    desired.apps.get_mut("shop").unwrap().wanted = Wanted::Stopped;
    settle(&mut desired, &mut actual);
    assert_eq!(actual.instances.len(), 0);
}

/// Carry out what is decided, in a world where everything succeeds at once.
fn settle(desired: &mut Desired, actual: &mut Actual) {
    for _ in 0..20 {
        for decision in decide(desired, actual) {
            match decision {
                Decision::Start { id, version } => {
                    actual.instances.insert(id, instance(version, State::Ready));
                }
                Decision::Stop { id, .. } => {
                    actual.instances.remove(&id);
                }
                Decision::Promote { app } => {
                    desired.apps.get_mut(&app).unwrap().promoted = Some(1);
                }
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!(decide(desired, actual), []);
}
