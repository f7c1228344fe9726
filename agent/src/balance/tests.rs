use host_sys::namespace::{new_network, visit};
use loadbalancer::nft::Transport;
use loadbalancer::policy::Policy;
use loadbalancer::registry::{
    At, BackendId, Change, Event, Listen, Name, NewBackend, Place, Registry, Target, Unserved,
    Weight,
};
use loadbalancer::ruleset::Ruleset;
use loadbalancer::writer::{Found, Writer};

use super::Socket;

/// So many services with one backend each.
fn registry(services: u16) -> Registry {
    let mut registry = Registry::default();
    for index in 0..services {
        let name = Name::new(&format!("s{index}")).unwrap();
        let port = (1000 + index).try_into().unwrap();
        let id = BackendId::new("1").unwrap();
        let target = Target::new("10.99.0.1:80".parse().unwrap()).unwrap();
        let weight = Weight::USUAL;
        let backend = NewBackend { target, place: Place::Local, weight, version: None };
        for change in [
            Change::Register {
                name: name.clone(),
                holder: "a test".to_owned(),
                listens: vec![Listen { at: At::Any, transport: Transport::Tcp, port }],
                policy: Policy::RoundRobin,
                affinity: None,
                unserved: Unserved::Refuse,
            },
            Change::Add(name.clone(), id.clone(), backend),
            Change::Report(name.clone(), id.clone(), Event::Passed),
            Change::Report(name.clone(), id.clone(), Event::Shift),
        ] {
            registry.apply(change).unwrap();
        }
    }
    registry
}

#[test]
fn a_batch_larger_than_any_usual_buffer_is_one() {
    let space = new_network().expect("this test makes a network namespace: run it as root");
    visit(&space, || {
        let mut registry = registry(1_000);
        let socket = Socket::open().unwrap();
        let mut writer = Writer::start(socket, Ruleset::of(&registry)).unwrap();
        assert_eq!(writer.look().unwrap(), Found::Whole);
        let name = Name::new("s7").unwrap();
        let down = Change::Report(name.clone(), BackendId::new("1").unwrap(), Event::Failed);
        registry.apply(down).unwrap();
        writer.write(|ruleset| ruleset.renew(&registry, &name)).unwrap();
        let second = Writer::start(Socket::open().unwrap(), Ruleset::default()).unwrap_err();
        let text = "the kernel refuses table hostctl: Operation not permitted (os error 1)";
        assert_eq!(second.to_string(), text);
    })
    .unwrap();
}
