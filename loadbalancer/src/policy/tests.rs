use proptest::prelude::*;

use manifest_spec::plugin::{Answer, Key};

use super::{Candidate, Choice, Count, Policy, slots};
use crate::registry::{BackendId, Percent, Weight};

/// A backend as tests make it up: weight, connections, whether it is the canary.
type Made = (u32, u64, bool);

fn with<T>(made: &[Made], body: impl FnOnce(&[Candidate<'_>]) -> T) -> T {
    let ids: Vec<_> =
        (0..made.len()).map(|index| BackendId::new(&format!("api.web.{index}")).unwrap()).collect();
    let one = |(id, (weight, connections, canary)): (_, &Made)| Candidate {
        id,
        weight: Weight::new(*weight).unwrap(),
        version: canary.then_some("2"),
        connections: *connections,
    };
    body(&ids.iter().zip(made).map(one).collect::<Vec<_>>())
}

fn policies() -> [Policy; 9] {
    let id = |index: usize| format!("api.web.{index}");
    let slots = [0, 2, 0, 1, 7].map(id).to_vec();
    [
        Policy::RoundRobin,
        Policy::Weighted,
        Policy::Random,
        Policy::SourceHash { port: false },
        Policy::LeastConnections,
        Policy::P2c,
        Policy::Canary { version: "2".to_owned(), share: Percent::new(10).unwrap() },
        Policy::Given(Answer::Weights([(id(0), 1000), (id(3), 1), (id(9), 0)].into())),
        Policy::Given(Answer::Slots { key: Key::SourcePort, slots }),
    ]
}

fn made() -> impl Strategy<Value = Vec<Made>> {
    let weight = prop_oneof![Just(100_u32), 1..=1000_u32];
    let connections = prop_oneof![0..50_u64, Just(0), Just(u64::MAX / 2)];
    prop::collection::vec((weight, connections, any::<bool>()), 1..40)
}

fn counted(slots: &[usize], candidates: usize) -> Vec<usize> {
    let mut counts = vec![0; candidates];
    slots.iter().for_each(|index| counts[*index] += 1);
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_slot_has_a_backend_and_every_share_is_met_within_one(made in made()) {
        for policy in policies() {
            with(&made, |candidates| {
                let count = policy.count(candidates);
                let slots = policy.slots(candidates, count);
                prop_assert_eq!(slots.len(), count.get(), "{:?}", policy);
                let shares = policy.shares(candidates);
                let total = shares.iter().sum::<u128>() as f64;
                for (share, found) in shares.iter().zip(counted(&slots, made.len())) {
                    let exact = *share as f64 * count.get() as f64 / total;
                    let off = (exact - found as f64).abs();
                    prop_assert!(off < 1.0 + 1e-6, "{policy:?}: {found} slots for {exact}");
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn turns_are_spread(quotas in prop::collection::vec(0..20_usize, 1..8)) {
        let order = slots::smooth(&quotas);
        let total: usize = quotas.iter().sum();
        for end in 1..=total {
            for (index, found) in counted(&order[..end], quotas.len()).into_iter().enumerate() {
                let due = quotas[index] as f64 * end as f64 / total as f64;
                prop_assert!((due - found as f64).abs() < quotas.len() as f64, "{order:?}");
            }
        }
    }

    #[test]
    fn fewer_connections_never_get_less(made in made()) {
        let equal = made.iter().map(|(_, connections, _)| (100, *connections, false));
        let equal: Vec<Made> = equal.collect();
        for policy in [Policy::LeastConnections, Policy::P2c] {
            let shares = with(&equal, |candidates| policy.shares(candidates));
            let mut order: Vec<_> = (0..equal.len()).collect();
            order.sort_by_key(|index| equal[*index].1);
            let sorted: Vec<_> = order.into_iter().map(|index| shares[index]).collect();
            prop_assert!(sorted.is_sorted_by(|one, other| one >= other), "{policy:?}: {sorted:?}");
        }
    }
}

/// Slots that change hands although their backend is still there, in parts of all.
fn moved(names: &[String], lost: usize) -> f64 {
    let policy = Policy::SourceHash { port: false };
    let ids: Vec<_> = names.iter().map(|name| BackendId::new(name).unwrap()).collect();
    let candidate = |id| Candidate { id, weight: Weight::USUAL, version: None, connections: 0 };
    let before: Vec<_> = ids.iter().map(candidate).collect();
    let mut after = before.clone();
    let gone = after.remove(lost);
    let count = policy.count(&before);
    let (old, new) = (policy.slots(&before, count), policy.slots(&after, count));
    let stays = |(old, new): &(&usize, &usize)| {
        before[**old].id == gone.id || before[**old].id == after[**new].id
    };
    let moved = old.iter().zip(&new).filter(|pair| !stays(pair)).count();
    moved as f64 / count.get() as f64
}

#[test]
fn losing_a_backend_moves_few_others() {
    let mut found = Vec::new();
    for round in 0..12 {
        for number in 2..=16 {
            let names: Vec<_> =
                (0..number).map(|index| format!("app{round}.web.{index}")).collect();
            found.extend((0..number).map(|lost| moved(&names, lost)));
        }
    }
    let mean = found.iter().sum::<f64>() / found.len() as f64;
    let worst = found.iter().copied().fold(0.0, f64::max);
    assert!(mean < 0.05 && worst < 0.15, "{mean} of all slots move, {worst} at worst");
}

#[test]
fn a_hash_needs_more_slots_than_turns() {
    with(&[(100, 0, false); 3], |three| {
        assert_eq!(Policy::RoundRobin.count(three), Count::Few);
        assert_eq!(Policy::SourceHash { port: true }.count(three), Count::More);
    });
    with(&[(100, 0, false); 5], |five| {
        assert_eq!(Policy::RoundRobin.count(five), Count::More);
        assert_eq!(Policy::SourceHash { port: true }.count(five), Count::Most);
    });
    with(&[(999, 0, false), (1, 0, false)], |lopsided| {
        assert_eq!(Policy::Weighted.count(lopsided), Count::Most);
    });
}

#[test]
fn nobody_has_no_slots() {
    for policy in policies() {
        assert!(policy.slots(&[], policy.count(&[])).is_empty(), "{policy:?}");
    }
}

#[test]
fn shares_of_a_canary() {
    let policy = Policy::Canary { version: "2".to_owned(), share: Percent::new(25).unwrap() };
    let counts = |made: &[Made]| {
        with(made, |candidates| counted(&policy.slots(candidates, Count::Few), made.len()))
    };
    assert_eq!(counts(&[(100, 0, false), (300, 0, false), (7, 0, true)]), [3, 9, 4]);
    // Nobody of the version, or everybody: by weight.
    assert_eq!(counts(&[(100, 0, false), (300, 0, false)]), [4, 12]);
    assert_eq!(counts(&[(100, 0, true), (300, 0, true)]), [4, 12]);
}

#[test]
fn shares_by_connections() {
    let shares = |policy: Policy, made: &[Made]| with(made, |all| policy.shares(all));
    // 40 are open, 20 are to come: to 30 each, or as near as they get.
    let made = [(100, 30, false), (100, 10, false)];
    assert_eq!(shares(Policy::LeastConnections, &made), [0, 2000]);
    // Weights of 3 to 1: 15 each would be 22.5 and 7.5.
    let made = [(3, 10, false), (1, 4, false)];
    assert_eq!(shares(Policy::LeastConnections, &made), [3 * 30 - 10 * 4, 30 - 4 * 4]);
    // Of nine draws of two, the idlest of three wins five, the next three, the busiest one.
    let made = [(1, 3, false), (1, 1, false), (1, 2, false)];
    assert_eq!(shares(Policy::P2c, &made), [1, 5, 3]);
    assert_eq!(shares(Policy::P2c, &[(2, 4, false), (2, 4, false)]), [8, 8]);
}

#[test]
fn what_slots_are_drawn_by() {
    let choices = policies().map(|policy| policy.choice());
    use Choice::{Chance, Source, SourceAndPort, Turn};
    let built_in = [Turn, Turn, Chance, Source, Turn, Chance, Turn];
    assert_eq!(choices[..7], built_in);
    assert_eq!(choices[7..], [Turn, SourceAndPort]);
}

#[test]
fn a_plugins_answer_outlives_the_backends_it_names() {
    let id = |index: usize| format!("api.web.{index}");
    let slots = |answer: Answer, number: usize| {
        with(&vec![(100, 0, false); number], |all| Policy::Given(answer).slots(all, Count::Few))
    };
    let order = |names: &[usize]| Answer::Slots {
        key: Key::Turn,
        slots: names.iter().copied().map(id).collect(),
    };
    assert_eq!(slots(order(&[1, 0, 1]), 2)[..6], [1, 0, 1, 1, 0, 1]);
    // One that is not there any more is skipped; where all are gone, the others share.
    assert_eq!(slots(order(&[7, 1, 0]), 2)[..4], [1, 0, 1, 0]);
    assert_eq!(slots(order(&[7]), 2)[..4], [0, 1, 0, 1]);
    let weights = Answer::Weights([(id(0), 3), (id(1), 1), (id(7), 9)].into());
    assert_eq!(counted(&slots(weights, 2), 2), [12, 4]);
}
