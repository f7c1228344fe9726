//! Promise: a program that is a log sink runs beside its app, with what the app is granted and none
//! of what the app holds, and gets every record.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::hostd::Hostd;
use crate::support::namespace::alone;
use crate::support::ports::Ports;
use crate::support::{As, EVERYONE, Scene, eventually};

/// The file of this name somewhere below.
fn find(below: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(below).ok()?.flatten();
    entries.map(|entry| entry.path()).find_map(|path| match path.is_dir() {
        true => find(&path, name),
        false => (path.file_name()? == name).then_some(path),
    })
}

/// The records that the program wrote to the app's managed directory.
fn got(scene: &Scene, said: &str) -> Vec<Value> {
    let path = find(&scene.state().join("data"), "got");
    let path = path.unwrap_or_else(|| panic!("the program wrote nothing: {said}"));
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["seq"].is_u64()).collect()
}

/// How many programs run beside instances of this scene.
fn asides(scene: &Scene) -> usize {
    let directories = scene.outside().to_str().unwrap();
    let is_one = |process: &Path| {
        let read = |name| std::fs::read(process.join(name)).unwrap_or_default();
        let environment = String::from_utf8_lossy(&read("environ")).into_owned();
        read("cmdline").starts_with(b"hostctl-aside\0") && environment.contains(directories)
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|process| is_one(&process.path())).count()
}

/// A program that keeps what it reads in the app's managed directory.
const SHIP: &str = "#!/bin/sh\ncat >> /srv/demo/got\nid -u > /srv/demo/uid\n";

fn manifest(port: u16, more: &str) -> String {
    format!(
        "port = {port}\n[access]\nread = [\".\"]\nwrite = [\"data:/srv/demo\"]\n{more}\n\
         [logs]\nsinks = [\"exec:./ship\"]\n"
    )
}

#[test]
fn it_gets_every_record_while_the_app_holds_its_port_and_its_data() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let port = Ports::hold();
        scene.script("ship", SHIP);
        scene.shell_app("id -u; seq 2000; echo oops >&2", &manifest(port.number(0), ""));
        let ran = scene.run(["run", "app.toml"]).exited(0);
        let uid = ran.out.lines().next().unwrap();
        let records = got(&scene, &ran.err);
        assert_eq!(records.len(), 2002, "{who:?}");
        for (number, record) in (1..).zip(&records) {
            assert_eq!(record["seq"], number);
            assert_eq!((&record["app"], &record["service"]), (&"demo".into(), &"main".into()));
        }
        let own = find(&scene.state().join("data"), "uid").unwrap();
        let own = std::fs::read_to_string(own).unwrap();
        assert_eq!(own.trim(), uid, "{who:?}: it is the app's user");
    }
}

#[test]
fn it_runs_beside_an_app_with_a_network_of_its_own() {
    let scene = Scene::new(As::Root);
    let port = Ports::hold();
    scene.script("ship", SHIP);
    scene.shell_app("seq 10", &manifest(port.number(0), "network = \"private\""));
    let ran = scene.run(["run", "app.toml"]).exited(0);
    assert_eq!(got(&scene, &ran.err).len(), 10);
}

#[test]
fn it_runs_beside_an_instance_of_hostd_and_ends_after_it() {
    alone(|| {
        let scene = Scene::new(As::Root);
        let hostd = Hostd::start(&scene);
        let port = Ports::hold();
        scene.script("ship", SHIP);
        scene.shell_app("seq 500; exec sleep 1000", &manifest(port.number(0), ""));
        hostd.deploy(&std::fs::read_to_string(scene.app().join("app.toml")).unwrap());
        eventually("every record", || {
            let path = find(&scene.state().join("data"), "got");
            let text = path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
            text.lines().count() == 501
        });
        assert!(asides(&scene) > 0);
        hostd.post("/v1/apps/demo/stop", &json!({})).done();
        eventually("the program has ended", || asides(&scene) == 0);
        let records = got(&scene, &hostd.log());
        let seqs: Vec<_> = records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=500).collect::<Vec<_>>());
    });
}
