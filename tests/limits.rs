//! Promise: a program that takes all it can get gets what its limits say, and the host stays
//! usable meanwhile.

use std::process::Command;

use crate::support::attack::BARE;
use crate::support::{As, EVERYONE, Scene};

#[test]
fn a_fork_bomb_stops_at_the_limit_and_ends() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.aim("fork_bomb", "", &format!("{BARE}\n[limits]\nprocesses = 32"));
        let mut running = scene.start(["run", "--quiet", "--grace", "1s", "app.toml"]);
        while running.child().try_wait().unwrap().is_none() {
            // The same user, outside, is not short of processes.
            let ran = scene.command("true".as_ref()).status().unwrap();
            assert!(ran.success(), "{who:?}: the host is usable");
        }
        running.wait().attempts(who, "processes: 32\nrefused with: EAGAIN\n");
    }
}

#[test]
fn a_fork_bomb_of_uid_0_stops_at_the_limit_too() {
    let scene = Scene::new(As::Root);
    std::fs::write(scene.config().join("policy.toml"), "[allow]\nroot = [\"attacker\"]\n").unwrap();
    scene.aim("fork_bomb", "", &format!("{BARE}\nuser = \"root\"\n[limits]\nprocesses = 32"));
    let ran = scene.run(["run", "--strict", "--quiet", "--grace", "1s", "app.toml"]);
    // Refused because it can't be enforced, or enforced; never taken and not kept.
    if ran.code != 77 {
        ran.attempts(As::Root, "processes: 32\nrefused with: EAGAIN\n");
    }
}

#[test]
fn descriptors_run_out_at_the_limit() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let access = format!("{BARE}\n[limits]\nfiles = 64");
        scene
            .attack("open_files", "", &access)
            .attempts(who, "last descriptor: 63\nraise the limit: EPERM\n");
        assert!(Command::new("true").status().unwrap().success());
    }
}
