use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Diff, Ruleset, diff};
use crate::nft::{Datum, Element, Transport};
use crate::policy::Policy;
use crate::registry::{
    Affinity, At, BackendId, Change, Event, Listen, Name, NewBackend, Percent, Place, Registry,
    Target, Unserved, Weight,
};

type Contents = BTreeMap<(String, String), Element>;

/// What is in the maps. No key is there twice.
fn contents(ruleset: &Ruleset) -> Contents {
    let mut contents = Contents::new();
    for element in ruleset.elements() {
        let old = contents.insert(key(&element), element);
        assert_eq!(old, None);
    }
    contents
}

fn key(element: &Element) -> (String, String) {
    (element.set.to_string(), format!("{:?}", element.key))
}

/// Do what the kernel would: refuse what is not there, or there already.
fn applied(mut contents: Contents, diff: &Diff) -> Contents {
    for element in &diff.removed {
        assert!(contents.remove(&key(element)).is_some(), "{element} is not there");
    }
    for element in &diff.added {
        assert!(contents.insert(key(element), element.clone()).is_none(), "{element} is there");
    }
    contents
}

fn name(index: usize) -> Name {
    Name::new(["api", "api.web", "db"][index]).unwrap()
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::RoundRobin),
        Just(Policy::Weighted),
        Just(Policy::Random),
        any::<bool>().prop_map(|port| Policy::SourceHash { port }),
        Just(Policy::LeastConnections),
        Just(Policy::P2c),
        (1..100_u32).prop_map(|share| Policy::Canary {
            version: "2".to_owned(),
            share: Percent::new(share).unwrap(),
        }),
    ]
}

fn listen() -> impl Strategy<Value = Listen> {
    let at = prop_oneof![
        Just(At::Any),
        Just(At::Address("10.0.0.1".parse().unwrap())),
        Just(At::Address("fd00::1".parse().unwrap())),
    ];
    let transport = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)];
    (at, transport, 80..83_u16).prop_map(|(at, transport, port)| Listen {
        at,
        transport,
        port: port.try_into().unwrap(),
    })
}

fn backend() -> impl Strategy<Value = NewBackend> {
    let target = (1..5_u8, any::<bool>()).prop_map(|(host, six)| {
        let text = if six { format!("[fd01::{host}]:80") } else { format!("10.1.0.{host}:80") };
        Target::new(text.parse().unwrap()).unwrap()
    });
    let place = prop_oneof![3 => Just(Place::Local), 1 => Just(Place::Remote)];
    let version = prop_oneof![Just(None), Just(Some("2".to_owned()))];
    (target, place, 1..=1000_u32, version).prop_map(|(target, place, weight, version)| NewBackend {
        target,
        place,
        weight: Weight::new(weight).unwrap(),
        version,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let id = || (1..5_u8).prop_map(|index| BackendId::new(&index.to_string()).unwrap());
    let event = prop_oneof![
        4 => Just(Event::Passed),
        1 => Just(Event::Failed),
        4 => Just(Event::Shift),
        1 => Just(Event::Drain),
        1 => Just(Event::Gone),
    ];
    let names = || (0..3_usize).prop_map(name);
    let affinity = prop::option::of((1..9_000_u32).prop_map(|s| Affinity::lasting(s).unwrap()));
    let listens = prop::collection::vec(listen(), 1..3);
    let register =
        (names(), listens, policy(), affinity).prop_map(|(name, listens, policy, affinity)| {
            Change::Register {
                name,
                holder: "a test".to_owned(),
                listens,
                policy,
                affinity,
                unserved: Unserved::Refuse,
            }
        });
    prop_oneof![
        3 => register,
        1 => names().prop_map(Change::Release),
        1 => (names(), policy()).prop_map(|(name, policy)| Change::Choose(name, policy)),
        6 => (names(), id(), backend()).prop_map(|(name, id, new)| Change::Add(name, id, new)),
        12 => (names(), id(), event).prop_map(|(name, id, event)| Change::Report(name, id, event)),
        1 => (names(), id(), 0..99_u64)
            .prop_map(|(name, id, count)| Change::Measure(name, vec![(id, count)])),
    ]
}

/// Every service that has a slot has all of them, each with an address.
fn no_slot_is_empty(contents: &Contents) {
    for element in contents.values() {
        let Datum::Goto(chain) = &element.data else { continue };
        let words: Vec<_> = chain.split('-').collect();
        let Some(count) = words.iter().find_map(|word| word.parse::<u32>().ok()) else { continue };
        if words[0] == "learn" {
            continue;
        }
        let service = element.key.iter().map(ToString::to_string).collect::<Vec<_>>().join(" . ");
        let slots = |set: &str| {
            let of_service = |(found, element): (&(String, String), &Element)| {
                let key = element.key.iter().map(ToString::to_string).collect::<Vec<_>>();
                found.0 == set && key[..key.len() - 1].join(" . ") == service
            };
            contents.iter().filter(|pair| of_service(*pair)).count() as u32
        };
        let found = match element.set.as_ref() {
            "ports" => vec![slots("port-backends4"), slots("port-backends6")],
            "services4" => vec![slots("backends4")],
            _ => vec![slots("backends6")],
        };
        assert!(found.iter().all(|found| *found == count || *found == 0), "{element}: {found:?}");
        assert!(found.contains(&count), "{element}: nobody");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_diff_of_two_leads_from_one_to_the_other(
        changes in prop::collection::vec(change(), 0..120),
        split in 0..120_usize,
    ) {
        let mut registry = Registry::default();
        let mut ruleset = Ruleset::default();
        let mut earlier = None;
        for (index, change) in changes.into_iter().enumerate() {
            if index == split {
                earlier = Some(ruleset.clone());
            }
            let before = registry.clone();
            let Ok(name) = registry.apply(change) else {
                prop_assert_eq!(&registry, &before);
                continue;
            };
            // What one service's change leads to is what all of the table says.
            let old = contents(&ruleset);
            let change = ruleset.renew(&registry, &name);
            let whole = Ruleset::of(&registry);
            prop_assert_eq!(&ruleset, &whole);
            prop_assert_eq!(applied(old, &change), contents(&whole));
            no_slot_is_empty(&contents(&whole));
            prop_assert!(ruleset.renew(&registry, &name).is_empty());
        }
        let earlier = earlier.unwrap_or_default();
        let change = diff(&earlier, &ruleset);
        prop_assert_eq!(applied(contents(&earlier), &change), contents(&ruleset));
        prop_assert!(diff(&ruleset, &ruleset).is_empty());
    }
}
