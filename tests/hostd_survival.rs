//! Promise: apps outlive hostd, and hostd outlives what happens to its files: it goes on from what
//! there is, or refuses with what to do and leaves the apps alone.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::hostd::{Hostd, Journal};
use crate::support::namespace::alone;
use crate::support::small::Small;
use crate::support::{As, Scene, eventually, kill};

/// A service with a port of its own number, and one that needs it.
const PAIR: &str = r#"
name = "pair"
[services.front]
run = "./service front notify"
ready = "notify"
needs = ["db"]
access.write = ["journal"]
env = { JOURNAL = "journal" }
[services.db]
run = "./service db port"
port = 5432
access.write = ["journal"]
env = { JOURNAL = "journal" }
"#;

/// One service that says when it is ready; `words` are its program's.
fn web(words: &str, tag: &str) -> String {
    format!(
        "name = \"web\"\nrun = \"./service web notify {words}\"\nready = \"notify\"\n\
         access.write = [\"journal\"]\nenv = {{ JOURNAL = \"journal\", TAG = \"{tag}\" }}\n"
    )
}

/// A scene where it serves.
fn scene() -> (Scene, Journal) {
    let scene = Scene::new(As::Root);
    let journal = scene.service();
    (scene, journal)
}

fn lives(pid: i64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The folder of an instance.
fn folder(scene: &Scene, instance: &str) -> PathBuf {
    scene.outside().join("run/instances").join(instance)
}

#[test]
fn an_instance_of_which_nothing_was_remembered_yet_is_taken_over() {
    let (scene, journal) = scene();
    let mut hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(&web("", "v1"));
    let pid = hostd.pid_of("web.main.1");
    hostd.kill();
    // A hostd leaves it so that is killed when it has just started the keeper.
    fs::remove_file(folder(&scene, "web.main.1").join("memory.json")).unwrap();
    hostd.begin();
    hostd.settled("web");
    assert_eq!((hostd.pid_of("web.main.1"), journal.count("web", "start")), (pid, 1));
}

#[test]
fn what_was_about_to_be_started_is_started() {
    let (scene, journal) = scene();
    let mut hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(&web("", "v1"));
    let old = hostd.pid_of("web.main.1");
    hostd.deploy(&web("wait", "v2"));
    eventually("the new one starts", || journal.count("web", "start") == 2);
    let keepers = hostd.keepers();
    hostd.kill();
    // As a hostd leaves it that is killed between the assignment and the keeper.
    let folder = folder(&scene, "web.main.2");
    let status = fs::read(folder.join("status.json")).unwrap();
    let status: Value = serde_json::from_slice(&status).unwrap();
    kill("KILL", status["keeper"].as_i64().unwrap() as i32);
    eventually("its keeper is gone", || hostd.keepers().len() == keepers.len() - 1);
    for name in ["status.json", "memory.json", "control", "notify"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    hostd.begin();
    eventually("it is started again", || journal.count("web", "start") == 3);
    assert!(lives(old), "the old one serves until the new one does");
    journal.put("go");
    let status = hostd.settled("web");
    assert_eq!(status["version"], 2, "{status}");
    assert_eq!(status["last_failure"], Value::Null);
}

#[test]
fn what_ends_while_there_is_no_hostd_is_started_again_and_said() {
    let (scene, journal) = scene();
    let mut hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(&web("", "v1"));
    hostd.kill();
    let program = crate::support::descendants(hostd.keepers()[0])[1];
    kill("SEGV", program);
    eventually("its keeper ends", || hostd.keepers().is_empty());
    hostd.begin();
    hostd.settled("web");
    let event = hostd.api().follow("app=web&since=0").until("ended", "while no hostd ran");
    assert!(event["text"].as_str().unwrap().contains("ended by SIGSEGV"), "{event}");
    assert_eq!(journal.count("web", "start"), 2);
    hostd.kill();
    kill("KILL", hostd.keepers()[0]);
    eventually("its keeper is gone", || hostd.keepers().is_empty());
    hostd.begin();
    let event = hostd.api().follow("app=web&since=0").until("ended", "while no hostd ran");
    assert!(event["text"].as_str().unwrap().contains("the process that watched it is gone"));
    hostd.settled("web");
    assert_eq!(journal.count("web", "start"), 3);
}

#[test]
fn a_half_done_deploy_is_finished_or_undone() {
    let (scene, journal) = scene();
    let mut hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(&web("", "v1"));
    let first = hostd.pid_of("web.main.1");
    hostd.deploy(&web("wait", "v2"));
    eventually("the new one starts", || journal.count("web", "start") == 2);
    hostd.restart();
    let new = hostd.until("web.main.2", "starting");
    hostd.restart();
    assert!(lives(first), "the old one serves until the new one does");
    journal.put("go");
    hostd.settled("web");
    assert_eq!(hostd.instance("web.main.2")["pid"], new["pid"], "the new one was taken over");
    assert_eq!(journal.count("web", "start"), 2);
    journal.take("go");

    let second = hostd.pid_of("web.main.2");
    hostd.deploy(&web("wait", "v3").replace("\"notify\"", "{ by = \"notify\", within = \"1s\" }"));
    eventually("the third one starts", || journal.count("web", "start") == 3);
    hostd.restart();
    let status = hostd.settled("web");
    assert_eq!((&status["version"], &status["last_failure"]["version"]), (&json!(2), &json!(3)));
    assert_eq!(hostd.pid_of("web.main.2"), second, "the one before never stopped");
}

#[test]
fn a_second_hostd_on_the_same_directories_refuses_and_says_who_has_them() {
    let (scene, _) = scene();
    let mut hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(&web("", "v1"));
    let pid = hostd.pid_of("web.main.1");
    let ran = Hostd::run(&scene).exited(75);
    assert!(
        ran.err.contains(&format!("is in use by hostd, process {}", hostd.pid())),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("hint: a second hostd needs directories of its own"), "{}", ran.err);
    assert_eq!(hostd.pid_of("web.main.1"), pid);
    assert_eq!(hostd.end(), Some(0), "the first one goes on until it is told");
    assert!(lives(pid), "and its apps longer");
    hostd.begin();
    hostd.settled("web");
    assert_eq!(hostd.pid_of("web.main.1"), pid);
}

/// Damage the state of a hostd that was killed, and what is said about it then.
fn damaged(what: &str, damage: impl FnOnce(&Path)) -> String {
    let (scene, journal) = scene();
    let mut hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(&web("", "v1"));
    let pid = hostd.pid_of("web.main.1");
    // Ended in peace it leaves one file; killed, another one beside it.
    hostd.end();
    let names = ["state.db", "state.db-wal", "state.db-shm"].map(|name| scene.state().join(name));
    let saved: Vec<_> = names.iter().map(|path| fs::read(path).ok()).collect();
    damage(&scene.state());
    let ran = Hostd::run(&scene).exited(69);
    assert!(lives(pid), "{what}: the apps go on");
    for (path, saved) in names.iter().zip(saved) {
        let _ = fs::remove_file(path);
        if let Some(bytes) = saved {
            fs::write(path, bytes).unwrap();
        }
    }
    hostd.begin();
    hostd.settled("web");
    assert_eq!(hostd.pid_of("web.main.1"), pid, "{what}");
    assert_eq!(journal.count("web", "start"), 1, "{what}");
    ran.err
}

#[test]
fn a_state_that_is_broken_or_gone_is_no_empty_state() {
    let cut = |size: fn(u64) -> u64| {
        move |state: &Path| {
            let file = fs::File::options().write(true).open(state.join("state.db")).unwrap();
            file.set_len(size(file.metadata().unwrap().len())).unwrap();
        }
    };
    let broken = [
        damaged("garbage", |state| fs::write(state.join("state.db"), [0x5a; 40_000]).unwrap()),
        damaged("half of it", cut(|length| length / 2)),
        damaged("its first page", cut(|_| 4096)),
    ];
    for said in broken {
        assert!(said.contains("state.db can't be read as hostctl's state: "), "{said}");
        assert!(said.contains("hint: the apps go on meanwhile; put "), "{said}");
        assert!(said.contains("back from a backup, or move it aside and deploy anew"), "{said}");
    }
    let gone = [
        damaged("empty", cut(|_| 0)),
        damaged("gone", |state| fs::remove_file(state.join("state.db")).unwrap()),
    ];
    for said in gone {
        assert!(said.contains("state.db is gone, and a hostd has kept its state there"), "{said}");
        assert!(said.contains("back from a backup; or, to begin with nothing deployed"), "{said}");
        assert!(said.contains("hostd.mark"), "{said}");
    }
}

#[test]
fn a_hostd_that_was_killed_when_it_began_for_the_first_time_can_begin() {
    for delay in (0..40).map(|step| std::time::Duration::from_micros(step * 700)) {
        let scene = Scene::new(As::Root);
        let mut hostd = Hostd::start_killed(&scene, delay);
        hostd.begin();
    }
}

#[test]
fn after_a_reboot_everything_is_back_in_order() {
    alone(|| {
        let (scene, journal) = scene();
        let mut hostd = Hostd::start(&scene);
        hostd.deploy_and_wait(PAIR);
        let many = PAIR.replace("front notify\"", "front notify\"\ncount = 2");
        hostd.deploy_and_wait(&many.replace("\"pair\"", "\"stopped\"").replace("5432", "5433"));
        hostd.post("/v1/apps/stopped/stop", &Value::Null).done();
        hostd.settled("stopped");
        let uids = fs::read_dir(scene.state().join("uids")).unwrap().count();
        let started = journal.count("front", "start");
        hostd.kill();
        // What a reboot ends and clears.
        for keeper in hostd.keepers() {
            kill("KILL", keeper);
        }
        eventually("nothing runs", || hostd.keepers().is_empty());
        fs::remove_dir_all(scene.outside().join("run")).unwrap();
        hostd.begin();
        hostd.settled("pair");
        assert_eq!(journal.count("front", "start"), started + 1, "the stopped app stays stopped");
        assert!(hostd.instances("stopped").is_empty());
        assert!(journal.last("db", "start") < journal.last("front", "start"));
        assert_eq!(fs::read_dir(scene.state().join("uids")).unwrap().count(), uids);
        let status = hostd.status("pair");
        assert_eq!(status["version"], 1, "{status}");
    });
}

#[test]
fn a_full_disk_stops_no_app_and_every_change_is_refused_until_there_is_room() {
    let (scene, journal) = scene();
    let small = Small::mount(scene.state(), 2);
    let mut hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(&web("", "v1"));
    let pid = hostd.pid_of("web.main.1");
    small.fill();
    let new = web("", "v2");
    let asked = [
        ("POST", "/v1/deploy", hostd.deployment(&new)),
        ("POST", "/v1/apps/web/stop", Value::Null),
        ("POST", "/v1/apps/web/restart", Value::Null),
        ("POST", "/v1/apps/web/scale", json!({ "service": "main", "count": 3 })),
        ("DELETE", "/v1/apps/web", Value::Null),
    ];
    for (method, path, body) in &asked {
        let said = hostd.api().ask(method, path, body).refused(503);
        assert!(said.contains("No space left") || said.contains("full"), "{path}: {said}");
        assert!(said.contains("free some space"), "{path}: {said}");
    }
    let status = hostd.settled("web");
    assert_eq!((&status["version"], hostd.pid_of("web.main.1")), (&json!(1), pid));
    // What fails is started again: that takes no room.
    let program = crate::support::descendants(hostd.keepers()[0])[1];
    kill("KILL", program);
    eventually("it is started again", || journal.count("web", "start") == 2);
    hostd.settled("web");
    small.make_room();
    hostd.deploy_and_wait(&new);
    hostd.restart();
    let status = hostd.settled("web");
    assert_eq!((&status["version"], journal.count("web", "start")), (&json!(2), 3));
}

#[test]
fn a_hostd_that_begins_on_a_full_disk_leaves_the_apps_alone() {
    let (scene, journal) = scene();
    let small = Small::mount(scene.state(), 2);
    let mut hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(&web("", "v1"));
    let pid = hostd.pid_of("web.main.1");
    hostd.kill();
    small.fill();
    hostd.spawn();
    let answered = || hostd.api().try_ask("GET", "/v1/host", &Value::Null).is_some();
    eventually("it answers or says why not", || answered() || hostd.log().contains("full"));
    hostd.kill();
    small.make_room();
    hostd.begin();
    hostd.settled("web");
    assert_eq!((hostd.pid_of("web.main.1"), journal.count("web", "start")), (pid, 1));
}

#[test]
fn a_full_run_directory_stops_no_app_and_is_survived() {
    let (scene, journal) = scene();
    let small = Small::mount(scene.outside().join("run"), 2);
    let mut hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(&web("", "v1"));
    let pid = hostd.pid_of("web.main.1");
    small.fill();
    // A new version can't be started: it is rolled back, and the old one serves on.
    hostd.deploy(&web("", "v2"));
    let status = hostd.settled("web");
    assert_eq!((&status["version"], hostd.pid_of("web.main.1")), (&json!(1), pid), "{status}");
    let reason = status["last_failure"]["reason"].as_str().unwrap();
    assert!(reason.contains("No space left") || reason.contains("full"), "{reason}");
    hostd.restart();
    hostd.settled("web");
    assert_eq!((hostd.pid_of("web.main.1"), journal.count("web", "start")), (pid, 1));
    small.make_room();
    hostd.deploy_and_wait(&web("", "v2"));
    assert_eq!(hostd.status("web")["version"], 3);
}
