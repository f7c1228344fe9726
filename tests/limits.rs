//! Promise: a program that takes all it can get gets what its limits say, and the host stays
//! usable meanwhile; a limit that can't be enforced is refused.
//!
//! Limits of memory and processor time need a host with the controllers: vm-tests/scenarios/limits.sh
//! has them.

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

/// Whether cgroup v2 has a controller here, so that root can be held to such a limit.
fn is_offered(controller: &str) -> bool {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].iter().any(|mount| {
        let offered = std::fs::read_to_string(format!("{mount}/cgroup.controllers"));
        offered.is_ok_and(|offered| offered.split_whitespace().any(|one| one == controller))
    })
}

#[test]
fn a_limit_that_cannot_be_enforced_is_refused_unless_the_caller_does_without() {
    for who in EVERYONE {
        for (limit, value) in [("memory", "64M"), ("cpu", "50%")] {
            let scene = Scene::new(who);
            scene.shell_app("echo started", &format!("limits = {{ {limit} = {value:?} }}\n"));
            let run = |more: &[&str]| scene.run(["run", "app.toml"].iter().chain(more));
            if who == As::Root && is_offered(limit) {
                assert_eq!(run(&["--strict"]).exited(0).out, "started\n");
                continue;
            }
            for more in [&[][..], &["--quiet"], &["--strict"]] {
                let ran = run(more).exited(77);
                assert_eq!(ran.out, "", "{who:?}");
                assert!(ran.err.contains(&format!("limits.{limit}")), "{who:?}: {}", ran.err);
            }
            let refused = run(&[]).err;
            let said = format!("hostctl: limits.{limit} can't be enforced here: ");
            assert!(refused.starts_with(&said), "{who:?}: {refused}");
            assert!(refused.ends_with("hint: add --allow-unenforced to run without it\n"));
            let ran = run(&["--allow-unenforced"]).exited(0);
            assert_eq!(ran.out, "started\n");
            let line = format!("hostctl: demo: not enforced: limits.{limit}: ");
            assert_eq!(ran.err.matches(&line).count(), 1, "{who:?}: {}", ran.err);
            run(&["--allow-unenforced", "--strict"]).exited(2);
        }
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
