//! A random driver: operators, programs and crashes in any order.

use agent::fleet::{InstanceId, Service, Takeover, Version, Wanted, decide};
use agent::supervise::instance::{Ending, Happening, State};
use proptest::prelude::*;
use proptest::sample::Index;

use super::check;
use super::world::World;

const APPS: [&str; 2] = ["forum", "shop"];
/// In the order of needs: the later ones may need the earlier.
const SERVICES: [&str; 4] = ["db", "cache", "web", "admin"];

/// One thing that an operator, a program or the host does.
#[derive(Debug, Clone)]
enum Step {
    Deploy(usize, Vec<RandomService>),
    Retarget(usize, Index),
    Scale(usize, usize, u32),
    Want(usize, Wanted),
    Restart(usize, usize),
    Program(Index, Fate),
    /// hostd dies after so many of the decisions it made.
    Crash(usize),
    Reboot,
}

/// What becomes of an instance.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Ready,
    Ends,
    Sick,
    Waits,
    /// It fails until the breaker opens.
    Breaks,
}

/// Not there, or: count, in place, which program, which of the earlier it needs.
type RandomService = Option<(u32, bool, u8, u8)>;

fn step() -> impl Strategy<Value = Step> {
    let app = || 0..APPS.len();
    let fate = prop_oneof![
        5 => Just(Fate::Ready),
        3 => Just(Fate::Ends),
        1 => Just(Fate::Sick),
        2 => Just(Fate::Waits),
        1 => Just(Fate::Breaks),
    ];
    let wanted = prop_oneof![Just(Wanted::Running), Just(Wanted::Stopped), Just(Wanted::Removed)];
    prop_oneof![
        4 => (app(), prop::collection::vec(service(), SERVICES.len()))
            .prop_map(|(app, services)| Step::Deploy(app, services)),
        1 => (app(), any::<Index>()).prop_map(|(app, version)| Step::Retarget(app, version)),
        1 => (app(), 0..SERVICES.len(), 0_u32..4)
            .prop_map(|(app, service, count)| Step::Scale(app, service, count)),
        1 => (app(), wanted).prop_map(|(app, wanted)| Step::Want(app, wanted)),
        1 => (app(), 0..SERVICES.len()).prop_map(|(app, service)| Step::Restart(app, service)),
        30 => (any::<Index>(), fate).prop_map(|(which, fate)| Step::Program(which, fate)),
        2 => (0_usize..4).prop_map(Step::Crash),
        1 => Just(Step::Reboot),
    ]
}

fn service() -> impl Strategy<Value = RandomService> {
    prop::option::weighted(0.7, (0_u32..4, any::<bool>(), 0_u8..3, any::<u8>()))
}

fn version(services: &[RandomService]) -> Version {
    let mut version = Version::default();
    for (index, service) in services.iter().enumerate() {
        let Some((count, replace, program, needs)) = service else { continue };
        let earlier = SERVICES[..index].iter().enumerate();
        let needs = earlier.filter(|(bit, _)| needs & (1 << bit) != 0);
        version.services.push(Service {
            name: SERVICES[index].to_owned(),
            count: *count,
            needs: needs.map(|(_, name)| (*name).to_owned()).collect(),
            takeover: if *replace { Takeover::Replace } else { Takeover::Beside },
            fingerprint: format!("program {program}"),
        });
    }
    version
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Deploy(app, services) => {
            let known = world.desired.apps.get(APPS[app]);
            let last = known.and_then(|app| app.versions.keys().last().copied());
            world.target(APPS[app], last.unwrap_or(0) + 1, Some(version(&services)));
        }
        Step::Retarget(app, which) => {
            let Some(known) = world.desired.apps.get(APPS[app]) else { return };
            let versions: Vec<u32> = known.versions.keys().copied().collect();
            world.target(APPS[app], *which.get(&versions), None);
        }
        Step::Scale(app, service, count) => world.scale(APPS[app], SERVICES[service], count),
        Step::Want(app, wanted) => world.want(APPS[app], wanted),
        Step::Restart(app, service) => world.restart(APPS[app], SERVICES[service]),
        Step::Program(which, fate) => {
            let ids: Vec<InstanceId> = world.units.keys().cloned().collect();
            if !ids.is_empty() {
                befall(world, which.get(&ids), fate);
            }
        }
        Step::Crash(after) => {
            for decision in decide(&world.desired, &world.actual()).iter().take(after) {
                world.carry_out(decision);
            }
            world.crash();
        }
        Step::Reboot => {
            world.units.clear();
            world.crash();
        }
    }
}

fn befall(world: &mut World, id: &InstanceId, fate: Fate) {
    let ended = || Happening::Ended(Ending::Exit(1));
    match fate {
        Fate::Ready => _ = world.tell(id, Happening::Ready),
        Fate::Ends => _ = world.tell(id, ended()),
        Fate::Sick => _ = world.tell(id, Happening::Sick("no answer".to_owned())),
        Fate::Waits => _ = world.let_due(id),
        Fate::Breaks => {
            while world.units[id].instance.is_alive() {
                world.tell(id, ended());
                if world.units[id].state() == State::BackingOff {
                    world.let_due(id);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Every decision is checked as it is carried out (`check.rs`), those after a crash in the
    /// middle of them too. In the end everything is as it was wanted.
    #[test]
    fn whatever_happens_the_rules_hold_and_it_converges(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut world = World::default();
        for step in steps {
            // A crash comes before what the step before it led to is done.
            if !matches!(step, Step::Crash(_)) {
                world.settle();
            }
            take(&mut world, step);
        }
        world.settle();
        world.heal();
        check::rest(&world);
    }
    /// Whatever is deployed over something that serves: if a part of it never becomes ready, it
    /// is as it was in the end, and (`check.rs`) what is beside never served less meanwhile.
    #[test]
    fn a_version_of_which_a_part_never_becomes_ready_leaves_everything_as_it_was(
        first in prop::collection::vec(service(), SERVICES.len()),
        second in prop::collection::vec(service(), SERVICES.len()),
        broken in any::<Index>(),
        crash in 0_usize..4,
    ) {
        let mut second = version(&second);
        second.services.retain(|service| service.count > 0);
        if second.services.is_empty() {
            second = version(&[Some((1, false, 0, 0))]);
        }
        let broken = broken.index(second.services.len());
        second.services[broken].fingerprint = "broken".to_owned();

        let mut world = World::default();
        world.target("shop", 1, Some(version(&first)));
        world.settle();
        world.heal();
        check::rest(&world);
        world.target("shop", 2, Some(second));
        take(&mut world, Step::Crash(crash));
        world.settle();
        world.go_on(|unit| unit.fingerprint != "broken");
        prop_assert_eq!(world.desired.apps["shop"].target, 1);
        check::rest(&world);
    }
}
