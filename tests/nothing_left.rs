//! Promise: whatever way a run ends, and whenever hostctl is killed, nothing of it is left: no
//! process, no mount, no file but the app's uid and data.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::support::attack::BARE;
use crate::support::{As, EVERYONE, Running, Scene, eventually};

/// Numbers and command lines of processes that name the scene: hostctl, its pid 1, its programs.
fn processes(scene: &Scene) -> Vec<(String, String)> {
    let marker = scene.outside().display().to_string() + "/";
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(&marker).then(|| (entry.file_name().to_string_lossy().into_owned(), line))
        })
        .collect()
}

/// Mounts of the host that name the scene.
fn mounts(scene: &Scene) -> Vec<String> {
    let marker = scene.outside().display().to_string() + "/";
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().filter(|line| line.contains(&marker)).map(str::to_owned).collect()
}

#[track_caller]
fn nothing_is_left(scene: &Scene, who: As) {
    eventually("no process is left", || processes(scene).is_empty());
    assert_eq!(mounts(scene), [""; 0], "{who:?}");
}

/// An app whose processes carry the scene's name in their command line.
fn app(scene: &Scene, attacker: &str, argument: &str) -> String {
    let program = scene.attacker(attacker);
    let run = format!("{} {argument}", program.display());
    let text = format!("name = \"attacker\"\nrun = {run:?}\n[access]\n{BARE}\nread = [\".\"]\n");
    scene.write("app.toml", &format!("{text}write = [\"data:/srv/x\"]\n")).display().to_string()
}

/// How hostctl ended. The end of its output is not waited for: whoever was left behind would hold it
/// open.
fn ended(running: &mut Running) -> ExitStatus {
    running.child().wait().unwrap()
}

fn kill(running: &mut Running) {
    running.signal("KILL");
    ended(running);
}

/// What a killed run may leave in hostctl's directories.
fn only_the_uid_and_the_data(scene: &Scene, who: As) {
    let names = |path: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let state = scene.state();
    // SQLite's journals lie beside a database of which nobody was told goodbye.
    let known =
        |name: &String| ["data", "uids"].contains(&name.as_str()) || name.starts_with("state.db");
    assert!(names(&state).iter().all(known), "{who:?}: {:?}", names(&state));
    assert!(names(&state.join("uids")).len() <= 1, "{who:?}");
    assert!(names(&state.join("data")).iter().all(|name| name == "attacker"), "{who:?}");
    let data = names(&state.join("data/attacker"));
    assert!(data.iter().all(|name| name == "srv-x"), "{who:?}: {data:?}");
    let run = names(&scene.outside().join("run"));
    assert!(run.iter().all(|name| name.starts_with("leases.db")), "{who:?}: {run:?}");
    assert!(names(&scene.config()).is_empty(), "{who:?}");
}

#[test]
fn processes_deaf_to_everything_do_not_outlive_the_program() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest = app(&scene, "outlive", "");
        let mut running = scene.start(["run", "--quiet", "--grace", "1s", &manifest]);
        assert!(ended(&mut running).success(), "{who:?}");
        assert_eq!(processes(&scene), [], "{who:?}: they are gone when hostctl is");
        assert_eq!(mounts(&scene), [""; 0], "{who:?}");
        only_the_uid_and_the_data(&scene, who);
    }
}

#[test]
fn processes_deaf_to_everything_do_not_outlive_a_stop() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest = app(&scene, "outlive", "stay");
        let mut running = scene.start(["run", "--quiet", "--grace", "1s", &manifest]);
        running.until_output("staying");
        running.signal("TERM");
        assert_eq!(ended(&mut running).code(), Some(128 + 9), "{who:?}");
        assert_eq!(processes(&scene), [], "{who:?}: they are gone when hostctl is");
        assert_eq!(mounts(&scene), [""; 0], "{who:?}");
    }
}

#[test]
fn processes_deaf_to_everything_do_not_outlive_a_killed_hostctl() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest = app(&scene, "outlive", "stay");
        let mut running = scene.start(["run", "--quiet", &manifest]);
        running.until_output("staying");
        kill(&mut running);
        nothing_is_left(&scene, who);
        only_the_uid_and_the_data(&scene, who);
    }
}

/// Forty kills, 0 to 30 ms after the start: before, in and after every step of it.
#[test]
fn hostctl_killed_at_any_moment_leaves_nothing() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest = app(&scene, "outlive", "stay");
        for round in 0..40_u64 {
            let mut command = scene.hostctl(["run", "--quiet", &manifest]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(round * 750));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        nothing_is_left(&scene, who);
        only_the_uid_and_the_data(&scene, who);
        let usable = app(&scene, "reach", "");
        scene.run(["run", "--quiet", &usable]).exited(0);
    }
}

/// The host's own view of a sandbox's mounts while it runs: there is nothing to see.
#[test]
fn mounts_of_a_running_sandbox_are_not_the_host_s() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest = app(&scene, "outlive", "stay");
        let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mut running = scene.start(["run", "--quiet", "--grace", "1s", &manifest]);
        running.until_output("staying");
        assert_eq!(mounts(&scene), [""; 0], "{who:?}");
        let after = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let on_foothold = |text: &str| text.lines().filter(|line| line.contains(" /sys ")).count();
        assert_eq!(on_foothold(&before), on_foothold(&after), "{who:?}");
        kill(&mut running);
        nothing_is_left(&scene, who);
    }
}

/// A host whose mounts are shared, as systemd makes them, gets none of the sandbox's.
#[test]
fn a_host_with_shared_mounts_gets_none_of_the_sandbox_s() {
    let scene = Scene::new(As::Root);
    let manifest = app(&scene, "reach", "");
    let script = "mount --make-rshared / && cat /proc/self/mountinfo > before && \
        \"$1\" run --quiet \"$2\" && cat /proc/self/mountinfo > after";
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .arg(crate::support::hostctl())
        .arg(&manifest)
        .current_dir(scene.outside())
        .env("HOSTCTL_STATE_DIR", scene.state())
        .env("HOSTCTL_RUN_DIR", scene.outside().join("run"))
        .env("HOSTCTL_CONFIG_DIR", scene.config())
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let [before, after] = ["before", "after"]
        .map(|name| std::fs::read_to_string(scene.outside().join(name)).unwrap());
    assert_eq!(before, after);
}
