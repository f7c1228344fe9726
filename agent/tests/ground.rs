//! Promise: the ground of a daemon's instances outlives the daemon as long as one of them lives, is
//! found again by the next, and is gone after both.
//!
//! As root, in one thread: a placeholder is started from it. On a host that systemd runs, the ground
//! is a scope; the guest of vm-tests has that.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there
#![allow(clippy::disallowed_methods, clippy::print_stdout)] // a test may start a program, and says so

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use agent::cgroup::{Cgroups, Controller, Ground, Place};

fn settle(name: &str, cgroups: &Cgroups) -> (Ground, PathBuf) {
    let ground = Ground::settle(name, cgroups).unwrap().expect("root is needed to make a cgroup");
    let apps = ground.apps();
    assert!(ground.keepers().is_dir());
    (ground, apps)
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn procs(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default()
}

fn main() {
    let systemd = Path::new("/run/systemd/system").is_dir();
    let cgroups = Cgroups::look(true, systemd);
    let name = format!("hostctl-ground-{}", std::process::id());

    let (ground, apps) = settle(&name, &cgroups);
    let root = apps.parent().unwrap().to_owned();
    if cgroups.limited == Some(Place::Scope) {
        assert!(root.ends_with(format!("{name}.scope")), "{}", root.display());
    }
    let found = Cgroups::below(&apps);
    let limited = Controller::ALL.into_iter().filter(|one| found.lack(*one).is_none());
    assert_eq!(limited.collect::<Vec<_>>(), cgroups.controllers, "{found:?}");

    let instance = apps.join("instance");
    std::fs::create_dir(&instance).unwrap();
    let mut app = Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(instance.join("cgroup.procs"), app.id().to_string()).unwrap();
    drop(ground);
    assert_eq!(procs(&instance).trim(), app.id().to_string());

    let (ground, again) = settle(&name, &cgroups);
    assert_eq!((&again, procs(&instance).trim()), (&apps, app.id().to_string().as_str()));
    app.kill().unwrap();
    app.wait().unwrap();
    eventually("the app is gone", || std::fs::remove_dir(&instance).is_ok());
    std::thread::sleep(Duration::from_millis(200));
    assert!(apps.is_dir(), "the daemon keeps it");
    drop(ground);
    eventually("nothing is left", || !root.exists());

    // A name may be used again at once.
    let (ground, _) = settle(&name, &cgroups);
    drop(ground);
    let (ground, apps) = settle(&name, &cgroups);
    assert!(apps.is_dir());
    drop(ground);
    eventually("nothing is left at last", || !root.exists());
    println!("the ground holds");
}
