//! Promise: what a program writes is in its instance's log, each line once and in its order, whatever
//! is written and whatever becomes of the process that collects; and the program never notices.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::collected::Collected;
use crate::support::hostd::Hostd;
use crate::support::random::Random;
use crate::support::{As, EVERYONE, Scene, eventually, kill};

/// An app whose program is this shell script.
fn app(script: &str, rest: &str) -> String {
    format!("name = \"demo\"\nrun = {:?}\n{rest}", format!("sh -c '{script}'"))
}

/// The log of the app's instance, once this is in it.
#[track_caller]
fn until(scene: &Scene, body: &str) -> Collected {
    scene.collected_until("demo.main.1", body)
}

/// What `seq FIRST LAST` writes.
fn numbers(first: u32, last: u32) -> Vec<String> {
    (first..=last).map(|number| number.to_string()).collect()
}

#[test]
fn killed_twenty_five_times_under_load_nothing_is_lost_and_nothing_is_there_twice() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut random = Random::new();
        let hostd = Hostd::start(&scene);
        // 100000 lines on either stream, in bursts.
        let script = "for r in $(seq 0 49); do seq $((r*2000+1)) $((r*2000+2000)); \
            seq $((r*2000+1)) $((r*2000+2000)) >&2; sleep 0.02; done; echo end; echo END >&2; exec sleep 1000";
        hostd.deploy_and_wait(&app(script, ""));
        let before = hostd.pid_of("demo.main.1");
        let mut killed = 0;
        for _ in 0..25 {
            let mut logger = 0;
            eventually("another logger", || {
                logger = scene.loggers().first().copied().unwrap_or(killed);
                logger != killed
            });
            std::thread::sleep(Duration::from_micros(random.below(60_000)));
            kill("KILL", logger);
            killed = logger;
        }
        until(&scene, "end");
        let log = until(&scene, "END");
        assert_eq!(log.in_order(), 0, "{who:?}");
        let (mut output, mut error) = (log.of("stdout"), log.of("stderr"));
        assert_eq!((output.pop().as_deref(), error.pop().as_deref()), (Some("end"), Some("END")));
        assert!(output == numbers(1, 100_000) && error == output, "{who:?}");
        assert_eq!(hostd.pid_of("demo.main.1"), before, "{who:?}: the app is alive");
        let is_same = |header: &Value| *header == log.headers[0];
        assert!(log.headers.iter().all(is_same), "{who:?}: it is one start");
    }
}

#[test]
fn stopped_for_two_seconds_it_makes_the_program_wait_only_for_room() {
    let scene = Scene::new(As::Root);
    let place = scene.open_directory("place");
    let hostd = Hostd::start(&scene);
    let wait = |name: &str| format!("until [ -e place/{name} ]; do sleep 0.01; done");
    // Less than a pipe holds, and then more.
    let script = format!(
        "echo ready; {}; seq 100000 200000; : > place/small; seq 200001 400000; echo end; \
         exec sleep 1000",
        wait("go")
    );
    hostd.deploy_and_wait(&app(&script, "access.write = [\"place\"]\n"));
    until(&scene, "ready");
    let [logger] = scene.loggers()[..] else { panic!("one logger") };
    kill("STOP", logger);
    let stopped = Instant::now();
    std::fs::write(place.join("go"), "").unwrap();
    eventually("the program goes on", || place.join("small").exists());
    std::thread::sleep(Duration::from_secs(2).saturating_sub(stopped.elapsed()));
    assert!(until(&scene, "ready").records.len() == 1, "nobody collects");
    kill("CONT", logger);
    let log = until(&scene, "end");
    assert_eq!(log.in_order(), 0);
    let mut output = log.of("stdout");
    assert_eq!((output.remove(0), output.pop().unwrap()), ("ready".into(), "end".into()));
    assert!(output == numbers(100_000, 400_000));
}

#[test]
fn long_lines_are_whole() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let hostd = Hostd::start(&scene);
        scene.write(
            "long.py",
            "for c, n in ('a', 200_000), ('b', 10_000_000), ('c', 65536), ('d', 65537): print(c * n)\n\
             print('end', flush=True)\nimport time; time.sleep(1000)\n",
        );
        hostd.deploy_and_wait("name = \"demo\"\nrun = \"python3 long.py\"\n");
        let log = until(&scene, "end");
        let lines = log.of("stdout");
        let expected = [("a", 200_000), ("b", 10_000_000), ("c", 65536), ("d", 65537)];
        assert_eq!(lines.len(), 5);
        for (line, (letter, length)) in lines.iter().zip(expected) {
            assert!(*line == letter.repeat(length), "{who:?}: {letter} has {}", line.len());
        }
        let longest = log.records.iter().map(|record| record["body"].as_str().unwrap().len()).max();
        assert!(longest.unwrap() <= 65536);
    }
}

#[test]
fn bytes_that_are_no_text_can_be_recovered_from_the_log() {
    let scene = Scene::new(As::Root);
    let hostd = Hostd::start(&scene);
    let script =
        r#"printf "a\\0b\\n\\377\\376\\303\\251\\n\\033[31mred\\033[0m\\n"; exec sleep 1000"#;
    hostd.deploy_and_wait(&app(script, ""));
    let log = until(&scene, "\u{1b}[31mred\u{1b}[0m");
    let bodies = log.of("stdout");
    assert_eq!(bodies[..2], ["a\0b", "\u{fffd}\u{fffd}é"]);
    assert_eq!(log.records[1]["attributes"]["bytes_hex"], "fffec3a9");
    assert!(log.records[0]["attributes"].get("bytes_hex").is_none(), "NUL is text");
}

#[test]
fn a_last_line_without_an_end_is_there_when_the_program_crashes() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let hostd = Hostd::start(&scene);
        hostd.deploy(&app("printf last\\ words; kill -s SEGV $$", ""));
        hostd.until("demo.main.1", "backing-off");
        let log = scene.collected("demo.main.1");
        let [words, crash] = &log.records[..2] else { panic!("{log:?}") };
        assert_eq!(
            (&words["body"], &words["attributes"]["stream"]),
            (&json!("last words"), &json!("stdout"))
        );
        assert_eq!(crash["attributes"]["exception.type"], "SIGSEGV", "{who:?}: {crash}");
        drop(hostd);
        let sink = app("printf last\\ words; kill -s SEGV $$", "logs.sinks = [\"file:app.log\"]\n");
        scene.write("app.toml", &sink);
        let ran = scene.run(["run", "app.toml"]).exited(128 + 11);
        assert_eq!(ran.out, "last words");
        let sunk = std::fs::read_to_string(scene.app().join("app.log")).unwrap();
        assert!(sunk.contains("\"body\":\"last words\"") && sunk.contains("SIGSEGV"), "{sunk}");
    }
}

#[test]
fn a_process_of_fifty_milliseconds_and_one_line_has_its_record_and_says_whose_it_is() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let hostd = Hostd::start(&scene);
        hostd.deploy(&app("sleep 0.05; echo one line; exit 7", ""));
        hostd.until("demo.main.1", "backing-off");
        let log = scene.collected("demo.main.1");
        assert_eq!(log.of("stdout")[0], "one line");
        let text = |path: &str| std::fs::read_to_string(path).unwrap().trim().to_owned();
        let header = &log.headers[0];
        let expected = json!({
            "app": "demo", "service": "main", "instance": 1, "version": 1,
            "host": text("/proc/sys/kernel/hostname"),
            "boot_id": text("/proc/sys/kernel/random/boot_id"),
            "started": header["started"],
        });
        assert_eq!(*header, expected, "{who:?}");
        let started = header["started"].as_str().unwrap();
        let read = log.records[0]["ts"].as_str().unwrap();
        assert!(started.ends_with('Z') && started < read, "{started} {read}");
        assert_eq!(log.records[0]["severity"], Value::from("info"));
    }
}

#[test]
fn stack_traces_that_come_by_both_streams_at_once_are_two_records() {
    let scene = Scene::new(As::Root);
    let hostd = Hostd::start(&scene);
    let trace = |kind: &str| {
        let frames: Vec<String> = (1..=20)
            .map(|line| format!("  File \"{kind}.py\", line {line}, in f{line}\n    call()"))
            .collect();
        let frames = frames.join("\n");
        format!("Traceback (most recent call last):\n{frames}\n{kind}: no {kind}")
    };
    let [one, other] = ["KeyError", "ValueError"].map(trace);
    scene.write("one", &one);
    scene.write("other", &other);
    // A line here, a line there, each as soon as the other is written.
    scene.write(
        "main.py",
        "import os, time\n\
         for a, b in zip(open('one'), open('other')):\n    \
             os.write(1, (a.rstrip() + chr(10)).encode())\n    \
             os.write(2, (b.rstrip() + chr(10)).encode())\n\
         os.write(2, b'END\\n')\n\
         os.write(1, b'end\\n')\n\
         time.sleep(1000)\n",
    );
    hostd.deploy(
        "name = \"demo\"\nrun = \"python3 main.py\"\nready = \"10ms\"\naccess.read = [\".\"]\n",
    );
    until(&scene, "END");
    let log = until(&scene, "end");
    let traces: Vec<_> = log
        .records
        .iter()
        .filter(|record| !record["attributes"]["exception.type"].is_null())
        .map(|record| {
            let attributes = &record["attributes"];
            let text = |key: &str| attributes[key].as_str().unwrap().to_owned();
            (text("stream"), text("exception.type"), text("exception.stacktrace"))
        })
        .collect();
    let told = |stream: &str, kind: &str, trace: &String| {
        traces.iter().any(|(by, of, text)| by == stream && of == kind && text == trace)
    };
    assert_eq!(traces.len(), 2, "{traces:#?}");
    assert!(
        told("stdout", "KeyError", &one) && told("stderr", "ValueError", &other),
        "{traces:#?}"
    );
}
