//! Promise: a policy can be a program in any language. What every plugin must do is one set of cases,
//! which all examples pass, and a plugin that does not is told why.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{As, EVERYONE, Scene};

/// The examples, and what builds or runs each.
const EXAMPLES: [(&str, &str); 5] = [
    ("rack_aware.py", "python3"),
    ("fewest.sh", "jq"),
    ("latency.js", "nodejs"),
    ("sticky", "gcc"),
    ("spread", "rustc, of rustup"),
];

/// A scene with the examples, built.
fn scene(who: As) -> Scene {
    let scene = Scene::new(who);
    scene.copy_app(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies"));
    scene
}

#[track_caller]
fn build(scene: &Scene, compiler: &str, arguments: &[&str]) {
    let mut command = Command::new(compiler);
    command.current_dir(scene.app()).args(arguments);
    let built = command.output().unwrap_or_else(|error| panic!("{compiler} is needed: {error}"));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    assert!(built.stderr.is_empty(), "{}", String::from_utf8_lossy(&built.stderr));
}

#[test]
fn every_example_passes_every_case() {
    for who in EVERYONE {
        let scene = scene(who);
        build(&scene, "cc", &["-O2", "-Wall", "-Wextra", "-o", "sticky", "sticky.c"]);
        build(&scene, "rustc", &["--edition", "2024", "-O", "-o", "spread", "spread.rs"]);
        for (program, needs) in EXAMPLES {
            let plugin = format!("./{program}");
            // Nothing timed is held against it: a busy machine may take its time.
            let check = ["policy", "check", &plugin, "--deadline", "1m", "--json"];
            let ran = scene.run(check);
            assert_eq!(ran.code, 0, "{who:?} {program} (needs {needs}): {}{}", ran.out, ran.err);
            let report: Value = serde_json::from_str(&ran.out).unwrap();
            assert!(report["cases"].as_array().unwrap().len() > 10, "{report:#}");
        }
    }
}

/// A plugin of this shell script, after what reads a question.
fn script(scene: &Scene, body: &str) {
    let read = "question() { read -r line || exit 0; id=${line#*\\\"id\\\":}; id=${id%%,*}; }";
    scene.script("plug", &format!("#!/bin/sh\n{read}\n{body}\n"));
}

#[test]
fn one_that_fails_a_case_is_told_why() {
    let scene = Scene::new(As::Root);
    for (body, reason, passes, deadline) in [
        ("exit 3", "it exited with 3", 0, "1m"),
        ("while question; do echo hello; done", "a wrong answer: no JSON object: ", 0, "1m"),
        (
            "while question; do echo \"{\\\"id\\\":$id,\\\"weights\\\":{\\\"shop.web.1\\\":1}}\"; done",
            "a wrong answer: ",
            5,
            "1m",
        ),
        ("while question; do sleep 1000; done", "no answer within 200ms", 0, "200ms"),
        ("echo ready; while question; do :; done", "a line that nobody asked for", 0, "1m"),
    ] {
        script(&scene, body);
        let ran = scene.run(["policy", "check", "./plug", "--deadline", deadline]).exited(1);
        assert!(ran.out.contains(reason), "{body}: {}", ran.out);
        let passed = ran.out.lines().filter(|line| line.starts_with("ok ")).count();
        assert!(passed >= passes, "{body}: {}", ran.out);
    }
    // One that is not there is told once, not for each case.
    let ran = scene.run(["policy", "check", "./nowhere"]).exited(1);
    let told = ran.out.lines().filter(|line| line.contains("nowhere does not exist")).count();
    assert_eq!((told, ran.out.lines().last()), (1, Some("0 of 1 cases passed")), "{}", ran.out);
    // Its own words, without what drives a terminal.
    script(&scene, "printf 'no such \\033[31mzone\\n' >&2; exit 1");
    let ran = scene.run(["policy", "check", "./plug"]).exited(1);
    assert!(ran.out.contains("it wrote: no such \\u{1b}[31mzone"), "{}", ran.out);
}

#[test]
fn a_trace_shows_what_an_answer_would_be() {
    for who in EVERYONE {
        let scene = scene(who);
        let trace =
            ["policy", "try", "./rack_aware.py", "--deadline", "1m", "--trace", "trace.jsonl"];
        let ran = scene.run(trace).exited(0);
        let first: Vec<_> = ran.out.lines().take(5).collect();
        assert_eq!(first[0], "1. shop.web: 64 slots, by turn", "{}", ran.out);
        assert!(first[1].starts_with("BACKEND"), "{}", ran.out);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let row = ["shop.web.3", "serving", "2", "3", "ms", "10", "4.7", "%"];
        assert_eq!(words(first[4]), row, "{}", ran.out);
        let ran = scene.run(trace.iter().chain(&["--json"])).exited(0);
        let steps: Vec<Value> =
            ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(steps.len(), 4);
        let shares = steps[2]["outcome"]["shares"].as_array().unwrap();
        assert_eq!(shares[1]["share"], Value::Null, "one that is not healthy");
        let sum: f64 = shares.iter().filter_map(|one| one["share"].as_f64()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{shares:?}");
    }
}

#[test]
fn a_file_that_is_no_trace_is_refused_by_its_line() {
    let scene = scene(As::Root);
    scene.write("bad.jsonl", "# one\n{\"service\":\"x\"}\n");
    let bad = ["policy", "try", "./rack_aware.py", "--trace", "bad.jsonl"];
    let ran = scene.run(bad).exited(65);
    assert!(ran.err.contains("bad.jsonl: line 2 is no question: "), "{}", ran.err);
    let ran = scene.run(["policy", "try", "./rack_aware.py", "--trace", "none"]).exited(66);
    assert!(ran.err.contains("none"), "{}", ran.err);
}

#[test]
fn the_protocol_is_printed_as_a_schema() {
    let ran = Scene::new(As::User).run(["policy", "schema"]).exited(0);
    let schema: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(schema["question"]["properties"]["v"]["const"], 1);
    assert!(schema["answer"]["oneOf"].is_array());
}
