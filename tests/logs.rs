//! Promise: with a file sink every line is shown as it was and recorded in order; a sink that takes
//! nothing loses nothing: it is told what waits, and the next run goes on with that.

use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value;

use crate::support::{EVERYONE, Scene};

const SINK: &str = "logs = { sinks = [\"file:app.log\"] }\n";

/// The records in the file, without the headers that say what they belong to.
fn records(scene: &Scene) -> Vec<Value> {
    let text = std::fs::read_to_string(scene.app().join("app.log")).unwrap();
    assert!(text.ends_with('\n'), "every record ends its line");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["seq"].is_u64()).collect()
}

fn of_stream<'a>(records: &'a [Value], stream: &str) -> Vec<&'a str> {
    let of_stream = records.iter().filter(|record| record["attributes"]["stream"] == stream);
    of_stream.map(|record| record["body"].as_str().unwrap()).collect()
}

#[test]
fn lines_are_shown_and_recorded() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("echo one; echo oops >&2; echo; printf 'no end'", SINK);
        let ran = scene.run(["run", "--quiet", "app.toml"]).exited(0);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("one\n\nno end", "oops\n"), "{who:?}");
        let records = records(&scene);
        assert_eq!(of_stream(&records, "stdout"), ["one", "", "no end"]);
        assert_eq!(of_stream(&records, "stderr"), ["oops"]);
        for (number, record) in (1..).zip(&records) {
            assert_eq!((&record["v"], &record["seq"]), (&Value::from(1), &Value::from(number)));
            assert_eq!(record["severity"], "info");
            let time = record["ts"].as_str().unwrap();
            assert!(time.len() == 30 && time.ends_with('Z') && &time[10..11] == "T", "{time}");
        }
    }
}

#[test]
fn a_hundred_thousand_lines_keep_their_order() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("seq 100000", SINK);
        let ran = scene.run(["run", "app.toml"]).exited(0);
        let records = records(&scene);
        assert_eq!(records.len(), 100_000);
        for (number, record) in (1..).zip(&records) {
            assert_eq!(record["seq"], number);
            assert_eq!(record["body"], number.to_string());
        }
        assert_eq!(ran.out.lines().count(), 100_000);
    }
}

#[test]
fn bytes_that_are_no_text_can_be_recovered() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(r"printf 'caf\351\0\n'; printf '\303\251\n'", SINK);
        scene.run(["run", "app.toml"]).exited(0);
        let records = records(&scene);
        assert_eq!(records[0]["attributes"]["bytes_hex"], "636166e900");
        assert_eq!(records[0]["body"], "caf\u{fffd}\0");
        assert_eq!(records[1]["body"], "é", "{who:?}: text stays text");
        assert!(records[1]["attributes"].get("bytes_hex").is_none());
    }
}

#[test]
fn a_second_run_appends() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("echo again", SINK);
        scene.run(["run", "app.toml"]).exited(0);
        scene.run(["run", "app.toml"]).exited(0);
        assert_eq!(of_stream(&records(&scene), "stdout"), ["again", "again"]);
        let mode = std::fs::metadata(scene.app().join("app.log")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
}

#[test]
fn a_link_in_the_place_of_a_log_is_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("echo written", SINK);
        let target = scene.write("precious", "");
        symlink(&target, scene.app().join("app.log")).unwrap();
        let ran = scene.run(["run", "app.toml"]).exited(73);
        assert!(ran.err.contains("logs.sinks: ") && ran.err.contains("app.log: "), "{}", ran.err);
        assert_eq!(ran.out, "", "the program did not start");
        assert_eq!(std::fs::read(target).unwrap(), b"");
    }
}

#[test]
fn a_sink_without_room_keeps_its_records_waiting_and_says_how_many() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("seq 25", "logs = { sinks = [\"file:/dev/full\", \"file:app.log\"] }\n");
        let ran = scene.run(["run", "app.toml"]).exited(0);
        let told = "file:/dev/full: 25 log records wait for it (";
        let why = "no space left on device); the next run sends what is left";
        assert!(ran.err.contains(told) && ran.err.contains(why), "{}", ran.err);
        assert_eq!(records(&scene).len(), 25, "{who:?}: the other sink has them all");
    }
}

#[test]
fn a_reader_that_goes_away_leaves_the_log_whole() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("seq 20000", SINK);
        let mut running = scene.start(["run", "app.toml"]);
        let mut output = running.child().stdout.take().unwrap();
        output.read_exact(&mut [0; 16]).unwrap();
        drop(output);
        running.wait().exited(0);
        assert_eq!(records(&scene).len(), 20_000, "{who:?}");
    }
}
