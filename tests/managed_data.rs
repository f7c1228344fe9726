//! Promise: a managed directory is made for its app alone, is kept from run to run, and a copy with
//! a port offset has its own.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use crate::support::{As, EVERYONE, Scene, USER};

const COUNTING: &str = "echo visit >> $DATA_DIR/log; wc -l < $DATA_DIR/log; id -u";
const ACCESS: &str = "[access]\nwrite = [\"data:/srv/count\"]\n";

fn stored(scene: &Scene, app: &str) -> PathBuf {
    scene.state().join("data").join(app).join("srv-count")
}

#[test]
fn what_was_written_is_there_in_the_next_run() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(COUNTING, ACCESS);
        let mut uids = Vec::new();
        for visit in ["1", "2", "3"] {
            let ran = scene.run(["run", "app.toml"]).exited(0);
            let (count, uid) = ran.out.trim().split_once('\n').unwrap();
            assert_eq!(count, visit, "{who:?}");
            uids.push(uid.parse::<u32>().unwrap());
        }
        uids.dedup();
        let directory = std::fs::metadata(stored(&scene, "demo")).unwrap();
        assert_eq!(uids, [directory.uid()], "one uid for all runs, which owns the directory");
        assert_eq!(directory.mode() & 0o7777, 0o700);
        assert_eq!(uids[0] == USER, who == As::User);
    }
}

#[test]
fn a_copy_with_an_offset_has_its_own_directory_and_user() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(COUNTING, ACCESS);
        let first = scene.run(["run", "app.toml"]).exited(0).out;
        let copy = scene.run(["run", "app.toml", "--port-offset", "3"]).exited(0).out;
        let again = scene.run(["run", "app.toml"]).exited(0).out;
        assert!(first.starts_with("1\n") && copy.starts_with("1\n") && again.starts_with("2\n"));
        let uids =
            ["demo", "demo+3"].map(|app| std::fs::metadata(stored(&scene, app)).unwrap().uid());
        assert_eq!(uids[0] != uids[1], who == As::Root, "{uids:?}");
    }
}

#[test]
fn nothing_in_a_managed_directory_can_be_executed_unless_the_manifest_says_so() {
    let script = "cp /usr/bin/true $DATA_DIR/t; $DATA_DIR/t";
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(script, ACCESS);
        scene.run(["run", "app.toml"]).exited(126);
        scene
            .shell_app(script, "[access]\nwrite = [{ path = \"data:/srv/count\", exec = true }]\n");
        scene.run(["run", "app.toml"]).exited(0);
    }
}

#[test]
fn a_link_in_the_place_of_a_managed_directory_is_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(COUNTING, ACCESS);
        scene.run(["run", "app.toml"]).exited(0);
        let directory = stored(&scene, "demo");
        let moved = directory.with_file_name("moved");
        std::fs::rename(&directory, &moved).unwrap();
        symlink(&moved, &directory).unwrap();
        let ran = scene.run(["run", "app.toml"]).exited(73);
        assert!(ran.err.contains("access.write[0]: "), "{}", ran.err);
        assert!(ran.err.contains("srv-count"), "{}", ran.err);
    }
}

#[test]
fn a_start_that_fails_leaves_no_directory_it_made() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("app.toml", &format!("name = \"demo\"\nrun = \"missing-program\"\n{ACCESS}"));
        scene.run(["run", "app.toml"]).exited(127);
        let left = std::fs::read_dir(scene.state().join("data")).unwrap().count();
        assert_eq!(left, 0, "{who:?}");
    }
}

#[test]
fn a_failed_start_keeps_the_data_of_earlier_runs() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(COUNTING, ACCESS);
        scene.run(["run", "app.toml"]).exited(0);
        scene.run(["run", "app.toml", "--set", "run=missing-program"]).exited(127);
        let ran = scene.run(["run", "app.toml"]).exited(0);
        assert!(ran.out.starts_with("2\n"), "{}", ran.out);
    }
}
