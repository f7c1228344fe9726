//! Promise: the uids of apps come from a range of their own, which clashes with nobody; each belongs
//! to one app for ever.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::{As, Ran, Scene, hostctl};

fn policy(scene: &Scene, text: &str) {
    std::fs::write(scene.config().join("policy.toml"), text).unwrap();
}

fn uid_of(scene: &Scene, name: &str) -> Ran {
    scene.run(["run", "--name", name, "--", "id", "-u"])
}

/// hostctl on a host where this file reads differently, in a mount namespace of its own.
fn with_file(scene: &Scene, path: &str, content: &str, arguments: &[&str]) -> Ran {
    let changed = scene.outside().join("changed");
    std::fs::write(&changed, content).unwrap();
    let script = format!("mount --bind {} {path} && exec \"$0\" \"$@\"", changed.display());
    let mut command: Command = scene.command(Path::new("unshare"));
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    Ran::from(command.arg(hostctl()).args(arguments).output().unwrap())
}

#[test]
fn each_app_has_a_uid_of_its_own_which_it_keeps() {
    let scene = Scene::new(As::Root);
    let apps = ["one", "two", "three", "four"];
    let uids = apps.map(|app| uid_of(&scene, app).exited(0).out);
    assert_eq!(BTreeSet::from(uids.clone()).len(), apps.len());
    assert_eq!(apps.map(|app| uid_of(&scene, app).exited(0).out), uids);
}

#[test]
fn the_range_is_the_operators_to_choose() {
    let scene = Scene::new(As::Root);
    policy(&scene, "uids = { first = 700000, count = 2 }\n");
    // 700000 is in the range of subordinate ids.
    let ran = uid_of(&scene, "one").exited(65);
    assert!(ran.err.contains("policy.toml:1:") && ran.err.contains("overlap"), "{}", ran.err);
    policy(&scene, "uids = { first = 1900000000, count = 2 }\n");
    let uids: BTreeSet<_> = ["one", "two"].map(|app| uid_of(&scene, app).exited(0).out).into();
    let expected = ["1900000000\n", "1900000001\n"].map(str::to_owned);
    assert_eq!(uids, expected.into());
    let ran = uid_of(&scene, "three").exited(69);
    assert!(ran.err.contains("all 2 uids from 1900000000 are given to apps"), "{}", ran.err);
    assert!(ran.err.contains("hint: give hostctl another range with [uids]"), "{}", ran.err);
}

#[test]
fn a_uid_of_a_user_of_this_host_is_not_given_to_an_app() {
    let scene = Scene::new(As::Root);
    policy(&scene, "uids = { first = 40000, count = 1 }\n");
    let users = "root:x:0:0::/root:/bin/sh\nbob:x:40000:40000::/home/bob:/bin/sh\n";
    let arguments = ["run", "--name", "demo", "--", "true"];
    let ran = with_file(&scene, "/etc/passwd", users, &arguments).exited(69);
    let expected = "uid 40000 of hostctl's range is in use: it is user bob in /etc/passwd";
    assert!(ran.err.contains(expected), "{}", ran.err);
}

#[test]
fn a_range_given_away_as_subordinate_ids_is_refused() {
    let scene = Scene::new(As::Root);
    let arguments = ["run", "--name", "demo", "--", "true"];
    let ran = with_file(&scene, "/etc/subuid", "bob:1900000100:65536\n", &arguments).exited(65);
    let expected = "the uid range 1900000000-1900065535 of hostctl is in use";
    assert!(ran.err.contains(expected) && ran.err.contains("bob"), "{}", ran.err);
}

#[test]
fn root_needs_the_manifest_and_the_policy() {
    let scene = Scene::new(As::Root);
    scene.shell_app("id -u", "access = { user = \"root\" }\n");
    let ran = scene.run(["run", "app.toml"]).exited(65);
    assert!(ran.err.contains("the host policy does not let this app run as root"), "{}", ran.err);
    policy(&scene, "[allow]\nroot = [\"demo\"]\n");
    assert_eq!(scene.run(["run", "app.toml"]).exited(0).out, "0\n");
    let copy = scene.run(["run", "app.toml", "--port-offset", "3"]).exited(0);
    assert_eq!(copy.out, "0\n", "a copy with an offset counts as its app");
}
