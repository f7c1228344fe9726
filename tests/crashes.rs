//! Promise: a program that crashes leaves a record of it, with its signal, its last lines and, where
//! the host leaves cores to programs and the manifest allows one, where it was; crashes in the same
//! place are one group of `hostctl tracebacks`, and an end that is no crash is none.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::hostd::Hostd;
use crate::support::{As, EVERYONE, Scene};

/// The program in the app's folder, with frame pointers, and a folder for its cores.
fn program(scene: &Scene) {
    scene.open_directory("dumps");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/crash.c");
    let built = Command::new("cc")
        .args(["-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-Wall", "-o"])
        .arg(scene.app().join("crash"))
        .arg(source)
        .output()
        .expect("a C compiler (package gcc) is needed");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

fn manifest(how: &str, rest: &str) -> String {
    format!(
        "name = \"demo\"\nrun = \"../crash {how}\"\ndir = \"dumps\"\naccess.write = [\"dumps\"]\n{rest}\n\
         [logs]\nsinks = [\"file:out.log\"]\n"
    )
}

const CORE: &str = "limits.core = \"64M\"";

/// Whether this host leaves the core of a program in the folder where it works.
fn leaves_cores() -> bool {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    !pattern.starts_with(['|', '@', '/', '\n'])
}

fn groups(scene: &Scene) -> Vec<Value> {
    let out = scene.run(["tracebacks", "demo", "--json"]).exited(0).out;
    serde_json::from_str::<Value>(&out).unwrap()["groups"].as_array().unwrap().clone()
}

#[test]
fn a_crash_is_recorded_with_its_last_lines_and_its_place() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        program(&scene);
        scene.write("app.toml", &manifest("segv", CORE));
        scene.run(["run", "app.toml"]).exited(139);
        scene.run(["run", "app.toml"]).exited(139);
        let groups = groups(&scene);
        assert_eq!(groups.len(), 1, "{who:?}: {groups:#?}");
        let group = &groups[0];
        assert_eq!((&group["type"], &group["count"]), (&json!("SIGSEGV"), &json!(2)));
        let attributes = &group["example"]["attributes"];
        assert_eq!(attributes["crash.last_lines"], json!(["about to do it", "no end"]));
        assert_eq!(attributes["stream"], "agent");
        let core = attributes["crash.core"].as_str().unwrap();
        if !leaves_cores() {
            assert!(core.contains("core_pattern") || core.contains("coredumpctl"), "{core}");
            continue;
        }
        assert!(core.contains("/dumps/core"), "{core}");
        assert!(group["message"].as_str().unwrap().contains("at address 0x10"), "{group:#}");
        let trace = attributes["exception.stacktrace"].as_str().unwrap();
        let names: Vec<&str> =
            trace.lines().map(|line| line[3..].split(['+', ' ']).next().unwrap()).collect();
        assert_eq!(names[..3], ["innermost", "middle", "main"], "{trace}");
        let shown = scene.run(["tracebacks", "--show", group["fingerprint"].as_str().unwrap()]);
        let shown = shown.exited(0).out;
        for part in ["demo.main", "2 times", "#0 innermost+0x", "| about to do it", "/dumps/core"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

#[test]
fn without_a_core_the_crash_is_recorded_and_no_core_is_written() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        program(&scene);
        scene.write("app.toml", &manifest("segv", ""));
        scene.run(["run", "app.toml"]).exited(139);
        let groups = groups(&scene);
        assert_eq!((groups.len(), &groups[0]["type"]), (1, &json!("SIGSEGV")), "{who:?}");
        assert!(groups[0]["example"]["attributes"]["exception.stacktrace"].is_null());
        if leaves_cores() {
            assert_eq!(std::fs::read_dir(scene.app().join("dumps")).unwrap().count(), 0);
        }
    }
}

#[test]
fn an_end_that_is_no_crash_is_none() {
    let scene = Scene::new(As::Root);
    program(&scene);
    scene.write("app.toml", &manifest("nothing", CORE));
    scene.run(["run", "app.toml"]);
    scene.write("app.toml", &manifest("kill", CORE));
    scene.run(["run", "app.toml"]).exited(137);
    assert_eq!(groups(&scene), Vec::<Value>::new());
    let out = scene.run(["logs", "demo"]).exited(0).out;
    assert_eq!(out.matches("about to do it").count(), 2, "{out}");
}

#[test]
fn the_crashes_of_a_deployed_app_name_its_versions() {
    let scene = Scene::new(As::Root);
    program(&scene);
    let hostd = Hostd::start(&scene);
    for version in 1..=2 {
        let text = manifest("segv", &format!("env.VERSION = \"{version}\"\n{CORE}"));
        hostd.deploy(&text.replace("[logs]\nsinks = [\"file:out.log\"]\n", ""));
        crate::support::eventually("it has crashed", || {
            let versions = groups_of(&scene);
            versions.iter().any(|one| one["versions"].as_array().unwrap().contains(&json!(version)))
        });
    }
    let all = groups_of(&scene);
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!(all[0]["versions"], json!([1, 2]));
}

/// The same while nothing may be there yet.
fn groups_of(scene: &Scene) -> Vec<Value> {
    let ran = scene.run(["tracebacks", "demo", "--json"]);
    let value: Value = serde_json::from_str(&ran.out).unwrap_or_default();
    value["groups"].as_array().cloned().unwrap_or_default()
}
