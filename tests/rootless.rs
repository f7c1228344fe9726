//! Promise: without root the same sandbox is built, and what it cannot keep is named once, before
//! the program starts; `--strict` refuses instead.

use crate::support::landlock;
use crate::support::{As, EVERYONE, Scene};

const MISSING: [&str; 2] = ["a uid of its own: ", "leaving your groups: "];

#[test]
fn what_is_not_kept_is_named_once() {
    let scene = Scene::new(As::User);
    scene.shell_app("echo started >&2", "");
    let ran = scene.run(["run", "app.toml"]).exited(0);
    let (before, _) = ran.err.split_once("started").unwrap();
    for what in MISSING {
        let line = format!("hostctl: demo: not enforced: {what}");
        assert_eq!(before.matches(&line).count(), 1, "{}", ran.err);
    }
    assert_eq!(ran.err.lines().count(), MISSING.len() + 1, "{}", ran.err);
}

/// What of the network is said to be open: more than `what` where Landlock has no rules on ports.
fn open(what: &'static str) -> &'static str {
    if landlock::abi() < landlock::PORTS { "ports and destinations: " } else { what }
}

#[test]
fn strict_refuses_with_the_list() {
    let scene = Scene::new(As::User);
    scene.shell_app("echo started", "port = 8080\n");
    let ran = scene.run(["run", "app.toml", "--strict"]).exited(77);
    assert_eq!(ran.out, "");
    let network = open("interfaces, addresses, and ports the kernel chooses: ");
    for what in MISSING.iter().chain(&[network]) {
        assert!(ran.err.contains(&format!("\n  {what}")), "{}", ran.err);
    }
}

#[test]
fn what_landlock_leaves_open_is_named() {
    let scene = Scene::new(As::User);
    for (keys, what) in [
        ("port = 8080", "interfaces, addresses, and ports the kernel chooses: "),
        ("access = { connect = [\"10.0.0.0/8:5432\"] }", "UDP, interfaces, addresses, and ports"),
    ] {
        scene.shell_app("true", &format!("{keys}\n"));
        let (ran, what) = (scene.run(["run", "app.toml"]).exited(0), open(what));
        assert!(ran.err.contains(&format!("demo: not enforced: {what}")), "{}", ran.err);
    }
}

#[test]
fn strict_runs_what_root_can_keep() {
    let scene = Scene::new(As::Root);
    scene.shell_app("echo started", "");
    let ran = scene.run(["run", "app.toml", "--strict"]).exited(0);
    assert_eq!(ran.out, "started\n");
}

#[test]
fn what_only_root_can_give_is_refused() {
    let scene = Scene::new(As::User);
    for (access, part) in [
        ("user = \"root\"", "access.user: only root can run a program as root"),
        ("capabilities = [\"CAP_NET_RAW\"]", "access.capabilities: capabilities can't be given"),
    ] {
        scene.shell_app("echo started", &format!("access = {{ {access} }}\n"));
        let ran = scene.run(["run", "app.toml"]).exited(65);
        assert!(ran.err.contains(part), "{}", ran.err);
    }
}

#[test]
fn the_program_holds_no_more_than_the_user() {
    let scene = Scene::new(As::User);
    scene.shell_app("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status", "");
    let ran = scene.run(["run", "app.toml"]).exited(0);
    let none = "0000000000000000";
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    let expected: Vec<_> = sets
        .map(|set| format!("{set}:\t{none}"))
        .into_iter()
        .chain(["NoNewPrivs:\t1".to_owned(), "Seccomp:\t2".to_owned()])
        .collect();
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn nothing_that_a_manifest_says_is_left_aside_in_silence() {
    for (keys, what) in [
        ("port = 8080\nroute = \"shop.example.com\"", "route"),
        ("port = 8080\nhealth = \"/up\"", "health"),
        ("policy = \"random\"", "policy"),
        ("policies = { own = { run = \"./rank\" } }", "policies"),
    ] {
        for who in EVERYONE {
            let scene = Scene::new(who);
            scene.shell_app("true", &format!("{keys}\n"));
            let ran = scene.run(["run", "app.toml"]).exited(0);
            let line = format!("hostctl: demo: not enforced: {what}: ");
            assert!(ran.err.contains(&line), "{who:?}: {what} is missing in {:?}", ran.err);
        }
    }
}
