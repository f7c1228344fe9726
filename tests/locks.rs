//! Promise: `hostctl lock` lets in as many as it says and no more, whatever ends them.

use std::fs;

use crate::support::{As, EVERYONE, Scene, eventually};

#[test]
fn a_lock_has_one_holder_and_names_it() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut first = scene.start(["lock", "backup", "--", "sh", "-c", "echo in; exec sleep 60"]);
        first.until_output("in");
        let refused = scene.run(["lock", "backup", "--", "echo", "never"]).exited(75);
        let said = format!("lock backup is held by sh (pid {}, since ", first.pid());
        assert!(refused.err.contains(&said), "{who:?}: {}", refused.err);
        assert_eq!(refused.out, "");
        scene.run(["lock", "other", "--", "true"]).exited(0);
        first.signal("TERM");
        first.wait().exited(143);
        scene.run(["lock", "backup", "--", "sh", "-c", "exit 7"]).exited(7);
        scene.run(["lock", "backup", "--", "/etc/passwd"]).exited(126);
        scene.run(["lock", "backup", "--", "no-such-program"]).exited(127);
    }
}

#[test]
fn fences_rise_and_reach_the_command() {
    let scene = Scene::new(As::Root);
    let mut last = 0_i64;
    for name in ["a", "b", "a"] {
        let ran = scene.run(["lock", name, "--", "sh", "-c", "echo $HOSTCTL_FENCE"]).exited(0);
        let fence = ran.out.trim().parse().unwrap();
        assert!(fence > last, "{fence} after {last}");
        last = fence;
    }
    // Without the ledger, as after a reboot, they go on rising.
    fs::remove_file(scene.outside().join("run/leases.db")).unwrap();
    let ran = scene.run(["lock", "a", "--", "sh", "-c", "echo $HOSTCTL_FENCE"]).exited(0);
    assert!(ran.out.trim().parse::<i64>().unwrap() > last);
}

#[test]
fn never_more_than_two_of_six() {
    let scene = Scene::new(As::Root);
    let script = "mkdir in.$$; ls -d in.* | wc -l; sleep 0.05; rmdir in.$$";
    for _ in 0..3 {
        let start =
            |_| scene.start(["lock", "build", "--max", "2", "--wait", "--", "sh", "-c", script]);
        let contenders: Vec<_> = (0..6).map(start).collect();
        for one in contenders {
            let seen: usize = one.wait().exited(0).out.trim().parse().unwrap();
            assert!((1..=2).contains(&seen), "{seen} at once");
        }
    }
}

#[test]
fn a_killed_hostctl_keeps_the_lock_until_its_command_has_ended() {
    let scene = Scene::new(As::Root);
    let script = "echo in; while [ ! -e go ]; do sleep 0.02; done";
    let mut first = scene.start(["lock", "x", "--", "sh", "-c", script]);
    first.until_output("in");
    first.signal("KILL");
    first.child().wait().unwrap();
    let refused = scene.run(["lock", "x", "--", "true"]).exited(75);
    assert!(refused.err.contains("lock x is held by what sh left behind"), "{}", refused.err);
    scene.write("go", "");
    scene.run(["lock", "x", "--wait", "--", "true"]).exited(0);
    eventually("nothing is held", || scene.run(["lease", "ls", "--all"]).out.is_empty());
}
