//! Promise: hostctl believes what is in its directories only if nobody else can have put it there.

use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use crate::support::{As, EVERYONE, Ran, Scene, USER};

/// Somebody who is neither root nor the one who runs hostctl.
const STRANGER: u32 = USER + 1;

fn run(scene: &Scene) -> Ran {
    let arguments = "run --quiet --name a --write data:/srv/x -- id -u";
    scene.run(arguments.split(' '))
}

#[track_caller]
fn refused(scene: &Scene, what: &str) {
    let ran = run(scene);
    assert!([65, 69, 73].contains(&ran.code), "{what}: {} {} {}", ran.code, ran.out, ran.err);
    assert_eq!(ran.out, "", "{what}: the program was started");
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
}

/// The directories below the state directory that a user's runs depend on.
fn directories(who: As) -> &'static [&'static str] {
    match who {
        As::Root => &["", "uids", "data", "data/a"],
        As::User => &["", "data", "data/a"],
    }
}

#[test]
fn a_directory_that_others_may_write_in_is_refused() {
    for who in EVERYONE {
        for directory in directories(who) {
            let scene = Scene::new(who);
            run(&scene).exited(0);
            open_to_all(&scene.state().join(directory));
            refused(&scene, &format!("{who:?}: mode 0777 of state/{directory}"));
        }
    }
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    for who in EVERYONE {
        for directory in directories(who) {
            let scene = Scene::new(who);
            run(&scene).exited(0);
            let path = scene.state().join(directory);
            chown(&path, Some(STRANGER), None).unwrap();
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
            refused(&scene, &format!("{who:?}: state/{directory} of another user"));
        }
    }
}

#[test]
fn a_managed_directory_that_is_a_link_is_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        run(&scene).exited(0);
        let data = scene.state().join("data/a/srv-x");
        std::fs::remove_dir(&data).unwrap();
        let target = scene.outside().join("home");
        symlink(&target, &data).unwrap();
        lchown(&data, Some(who.uid()), None).unwrap();
        refused(&scene, &format!("{who:?}: a link to a directory of one's own"));
    }
}

#[test]
fn a_link_to_the_state_directory_by_a_stranger_is_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let state = scene.state();
        std::fs::remove_dir(&state).unwrap();
        symlink(scene.outside().join("home"), &state).unwrap();
        lchown(&state, Some(STRANGER), None).unwrap();
        refused(&scene, &format!("{who:?}: a stranger's link"));
        let home = scene.outside().join("home");
        assert!(std::fs::read_dir(home).unwrap().next().is_none(), "{who:?}: nothing is written");
    }
}

/// A state directory below a link of root's, as `/var/lib` or `/home` may be one.
#[test]
fn a_state_directory_below_a_link_of_root_is_used() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let alias = scene.outside().join("alias");
        symlink(scene.state(), &alias).unwrap();
        let mut command =
            scene.hostctl("run --quiet --name a --write data:/srv/x -- true".split(' '));
        command.env("HOSTCTL_STATE_DIR", alias.join("below"));
        Ran::from(command.output().unwrap()).exited(0);
    }
}

#[test]
fn a_policy_that_others_may_write_is_not_believed() {
    let scene = Scene::new(As::Root);
    let policy = scene.config().join("policy.toml");
    std::fs::write(&policy, "[allow]\nroot = [\"a\"]\n").unwrap();
    chown(&policy, Some(STRANGER), None).unwrap();
    scene.write("app.toml", "name = \"a\"\nrun = \"id -u\"\n[access]\nuser = \"root\"\n");
    let ran = scene.run(["run", "--quiet", "app.toml"]);
    assert_eq!(ran.out, "", "a stranger's policy made an app root");
    assert_ne!(ran.code, 0);
}
