use std::net::SocketAddr;

use super::{
    Affinity, At, BackendId, Change, Event, Listen, Name, NewBackend, Place, Refused, Registry,
    State, Target, Unserved, ValueError, Verdict, Weight,
};
use crate::nft::Transport;
use crate::policy::Policy;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn id(text: &str) -> BackendId {
    BackendId::new(text).unwrap()
}

fn listen(at: &str, port: u16) -> Listen {
    let at = at.parse().map_or(At::Any, At::Address);
    Listen { at, transport: Transport::Tcp, port: port.try_into().unwrap() }
}

fn register(text: &str, listens: &[Listen]) -> Change {
    Change::Register {
        name: name(text),
        holder: format!("{text} of version 1"),
        listens: listens.to_vec(),
        policy: Policy::RoundRobin,
        affinity: None,
        unserved: Unserved::Refuse,
    }
}

fn backend(target: &str) -> NewBackend {
    let target = Target::new(target.parse().unwrap()).unwrap();
    NewBackend { target, place: Place::Local, weight: Weight::USUAL, version: None }
}

#[test]
fn the_second_registrant_is_told_who_was_first() {
    let mut registry = Registry::default();
    registry.apply(register("api", &[listen("any", 80)])).unwrap();
    let before = registry.clone();
    let refused = |registry: &mut Registry, change| registry.apply(change).unwrap_err().to_string();
    let again = refused(&mut registry, register("api", &[listen("any", 81)]));
    assert_eq!(again, "api is held by api of version 1");
    let port = refused(&mut registry, register("web", &[listen("10.0.0.1", 80)]));
    assert_eq!(port, "tcp port 80 of 10.0.0.1 is api's, held by api of version 1");
    assert_eq!(registry, before);
    registry.apply(Change::Release(name("api"))).unwrap();
    registry.apply(register("web", &[listen("10.0.0.1", 80), listen("10.0.0.2", 80)])).unwrap();
    // Other addresses, other services.
    registry.apply(register("api", &[listen("10.0.0.3", 80)])).unwrap();
}

#[test]
fn where_nobody_can_be_found() {
    let mut registry = Registry::default();
    let mut refused = |listens: &[Listen]| registry.apply(register("api", listens)).unwrap_err();
    assert_eq!(refused(&[]), Refused::Listens(name("api")));
    let twice = [listen("any", 80), listen("10.0.0.1", 80)];
    assert_eq!(refused(&twice), Refused::Listens(name("api")));
    for address in ["0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
        assert_eq!(refused(&[listen(address, 80)]), Refused::Address(listen(address, 80)));
    }
}

#[test]
fn a_backend_from_its_first_to_its_last() {
    let mut registry = Registry::default();
    registry.apply(register("api.web", &[listen("any", 80)])).unwrap();
    let (service, one) = (name("api.web"), id("api.web.1"));
    registry.apply(Change::Add(service.clone(), one.clone(), backend("10.0.0.2:80"))).unwrap();
    let report = |event| Change::Report(name("api.web"), id("api.web.1"), event);
    let refused = registry.apply(report(Event::Shift)).unwrap_err();
    assert_eq!(refused, Refused::NotNow(one.clone(), State::Registered, Event::Shift));
    let serving = |registry: &Registry| registry.service(&service).unwrap().serving().count();
    for (event, number) in [
        (Event::Passed, 0),
        (Event::Shift, 1),
        (Event::Failed, 0),
        (Event::Passed, 0),
        (Event::Shift, 1),
        (Event::Drain, 0),
    ] {
        registry.apply(report(event)).unwrap();
        assert_eq!(serving(&registry), number, "{event:?}");
    }
    // Its successor may come to its place while it drains.
    let next = |text| Change::Add(name("api.web"), id(text), backend("10.0.0.2:80"));
    registry.apply(next("api.web.2")).unwrap();
    let refused = registry.apply(next("api.web.3")).unwrap_err();
    assert!(matches!(refused, Refused::TargetHeld(_, held) if held == id("api.web.2")));
    registry.apply(report(Event::Gone)).unwrap();
    assert_eq!(registry.apply(report(Event::Passed)), Err(Refused::NoBackend(service, one)));
}

#[test]
fn whatever_stands_the_end_is_the_end() {
    use State::{Down, Draining, Healthy, Registered, Retired, Serving};
    let events = [Event::Passed, Event::Failed, Event::Shift, Event::Drain, Event::Gone];
    for state in [Registered, Healthy, Serving, Draining, Down, Retired] {
        assert_eq!(state.after(Event::Gone), Verdict::Now(Retired));
        for event in events {
            let Verdict::Now(after) = state.after(event) else { continue };
            // Nothing serves that was not healthy before, and nothing comes back from its end.
            let fair = after != Serving || matches!(state, Healthy | Serving);
            assert!(fair, "{state:?} {event:?}");
            assert!(state != Retired || after == Retired, "{event:?}");
        }
    }
}

#[test]
fn values_out_of_range() {
    assert_eq!(Weight::new(0), Err(ValueError::Weight(0)));
    assert_eq!(Weight::new(1001), Err(ValueError::Weight(1001)));
    assert_eq!(Affinity::lasting(0), Err(ValueError::Affinity(0)));
    assert_eq!(Affinity::lasting(61), Ok(Affinity::TenMinutes));
    assert_eq!(Affinity::lasting(86_401), Err(ValueError::Affinity(86_401)));
    let target = |text: &str| Target::new(text.parse::<SocketAddr>().unwrap());
    for loopback in ["127.0.0.1:80", "127.1.2.3:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
        let found = target(loopback);
        assert!(matches!(found, Err(ValueError::Loopback(_))), "{loopback}: {found:?}");
    }
    for nobody in ["0.0.0.0:80", "10.0.0.1:0", "224.0.0.1:80", "[::]:80", "255.255.255.255:80"] {
        let found = target(nobody);
        assert!(matches!(found, Err(ValueError::Target(_))), "{nobody}: {found:?}");
    }
    for text in ["", "a.b.c.d", "Api", "api.", "api+x"] {
        assert!(Name::new(text).is_err(), "{text}");
    }
}
