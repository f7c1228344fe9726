//! Places on made-up hosts.

use std::path::Path;

use super::Controller::{Cpu, Io, Memory, Pids};
use super::*;

const UNIT: &str = "/c/system.slice/x.service";

fn cgroup(path: &str, offered: &[Controller]) -> Folder {
    Folder {
        path: path.into(),
        offered: offered.to_vec(),
        enabled: Vec::new(),
        is_free: false,
        is_writable: true,
        is_delegated: false,
    }
}

/// A process in a cgroup of a host that has all controllers.
fn view(own: &str) -> View {
    let above = Path::new(own).parent().unwrap().to_str().unwrap();
    View {
        own: cgroup(own, &Controller::ALL),
        above: Some(Folder { is_free: true, ..cgroup(above, &Controller::ALL) }),
        top: Some(Folder { is_free: true, ..cgroup("/c", &Controller::ALL) }),
    }
}

fn below(path: &str) -> Option<Place> {
    Some(Place::Below(path.into()))
}

#[test]
fn systemd_makes_a_scope_for_who_has_no_cgroup() {
    let found = decide(Some(view(UNIT)), true, true, &[]);
    assert_eq!((found.plain, found.limited), (Some(Place::Scope), Some(Place::Scope)));
    assert_eq!(found.controllers, Controller::ALL);
    assert!(found.lacks.is_empty());
}

#[test]
fn a_delegated_unit_holds_apps_but_limits_none_beside_its_own_processes() {
    let mut view = view(UNIT);
    view.own.is_delegated = true;
    let found = decide(Some(view.clone()), true, true, &[]);
    assert_eq!((found.plain, found.limited), (below(UNIT), Some(Place::Scope)));
    // With those in a subgroup it does.
    view.own.path = format!("{UNIT}/main").into();
    (view.own.is_delegated, view.above) = (
        false,
        Some(Folder {
            is_free: true,
            is_delegated: true,
            ..cgroup(UNIT, &[Memory, Cpu, Pids, Io])
        }),
    );
    let found = decide(Some(view.clone()), true, true, &[]);
    assert_eq!((found.plain, found.limited), (below(UNIT), below(UNIT)));
    // For a user too; but units of a user's systemd have not left their slice to each other.
    assert_eq!(decide(Some(view.clone()), false, true, &[]).limited, below(UNIT));
    view.own.path = format!("{UNIT}/y.service").into();
    assert_eq!(decide(Some(view), false, true, &[]).limited, None);
}

#[test]
fn without_systemd_limits_are_below_the_top_for_root() {
    let found = decide(Some(view("/c/a/b")), true, false, &[]);
    assert_eq!(found.plain, below("/c/a/b"));
    assert_eq!(found.limited, below("/c/a"), "an empty one above is nearer");
    let mut there = view("/c/a/b");
    there.above = Some(cgroup("/c/a", &Controller::ALL));
    assert_eq!(decide(Some(there.clone()), true, false, &[]).limited, below("/c"));
    // In a container the top has processes, or can't be written to.
    there.top = Some(cgroup("/c", &Controller::ALL));
    let found = decide(Some(there), true, false, &[]);
    assert_eq!((found.limited.as_ref(), found.controllers.len()), (None, 0));
    assert_eq!(found.lack(Memory), Some(&Lack::Withheld("/c/a/b".into())));
}

#[test]
fn a_hybrid_host_has_a_place_and_no_limits() {
    let own = Folder { is_free: true, ..cgroup("/c", &[]) };
    let view = View { own, above: None, top: None };
    let found = decide(Some(view.clone()), true, false, &[Memory, Cpu]);
    assert_eq!((found.plain, found.limited), (below("/c"), None));
    let lacks = [Lack::OfV1, Lack::OfV1, Lack::NotOffered, Lack::NotOffered];
    assert_eq!(found.lacks, Controller::ALL.into_iter().zip(lacks).collect::<Vec<_>>());
    let user = decide(Some(view), false, false, &[Memory]);
    assert_eq!((user.plain, user.lacks[0].1.clone()), (None, Lack::OfV1));
}

#[test]
fn an_ordinary_user_limits_what_was_left_to_it() {
    let mut view = view("/c/user/shell");
    for folder in [&mut view.own, view.above.as_mut().unwrap(), view.top.as_mut().unwrap()] {
        folder.is_writable = false;
    }
    let found = decide(Some(view.clone()), false, false, &[]);
    assert_eq!(found.lack(Cpu), Some(&Lack::NotDelegated));
    view.above.as_mut().unwrap().is_writable = true;
    let found = decide(Some(view), false, false, &[]);
    assert_eq!((found.plain, found.limited), (None, below("/c/user")));
}

#[test]
fn without_cgroup_v2_there_is_no_place() {
    let found = decide(None, true, true, &[]);
    assert_eq!((&found.plain, &found.limited), (&None, &None));
    assert_eq!(found.lack(Io), Some(&Lack::NotMounted));
    assert!(found.lacks.iter().all(|(one, lack)| !lack.remedy(*one).is_empty()));
}
