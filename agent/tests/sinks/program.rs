//! Programs as sinks: in a sandbox of the app's own rights, started again when they end.
//!
//! Starts sandboxes: as root with a user of the app's own, else in a user namespace.

use std::os::unix::fs::PermissionsExt;

use agent::aside::Like;
use agent::aside::start::Starter;
use agent::plan::Directories;
use agent::planning::Source;
use serde_json::Value;

use super::kills::kill_again_and_again;
use super::scene::{Scene, sink, until};

/// A scene whose app has a folder that it may write to, with a program in it.
fn scene(program: &str, more: &str) -> Scene {
    let mut scene = Scene::new();
    let app = scene.file("app");
    std::fs::create_dir(&app).unwrap();
    std::fs::create_dir(app.join("work")).unwrap();
    std::fs::write(app.join("take"), format!("#!/bin/sh\n{program}\n")).unwrap();
    for (path, mode) in [("take", 0o755), ("work", 0o777), ("", 0o755)] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(app.join(path), permissions).unwrap();
    }
    let text = format!(
        "name = \"demo\"\nrun = \"true\"\nport = 8080\nenv = {{ GREETING = \"hello\" }}\n\
         [access]\nread = [\".\"]\nwrite = [\"work\", \"data:/srv/demo\"]\n{more}"
    );
    let source = Source { name: "app.toml".into(), text, folder: app, ..Source::default() };
    let like = Like {
        source,
        service: "main".into(),
        instance: 1,
        ports: Vec::new(),
        deployer: None,
        kept: false,
    };
    let directories = Directories {
        state: scene.file("state"),
        run: scene.file("run-dir"),
        config: scene.file("config"),
    };
    let executable = env!("CARGO_BIN_EXE_hostctl").into();
    scene.around.programs = Some((Starter { executable, directories }, like));
    scene
}

fn address(scene: &Scene) -> String {
    format!("exec:{}/take", scene.file("app").display())
}

fn work(scene: &Scene, name: &str) -> String {
    std::fs::read_to_string(scene.file("app/work").join(name)).unwrap_or_default()
}

fn seqs(text: &str) -> Vec<u64> {
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line["seq"].as_u64()).collect()
}

#[test]
fn a_program_reads_lines_with_the_apps_own_rights() {
    let program = "exec 2>&1
        { id -u; echo \"$GREETING\"; echo \"$PWD\"; ls /; ls /proc/self/fd; } > work/about
        cat > work/lines
        echo the end > work/end";
    let mut scene = scene(program, "");
    let routing = scene.route(vec![sink(&address(&scene))]);
    scene.write_numbers(1..=3000);
    let metrics = routing.finish(&scene);
    let lines = work(&scene, "lines");
    assert!(lines.starts_with("{\"v\":1,\"resource\":"), "{metrics:#?}");
    assert_eq!(seqs(&lines), (1..=3000).collect::<Vec<_>>());
    assert_eq!(work(&scene, "end"), "the end\n", "it was let finish");
    let about = work(&scene, "about");
    let mut about = about.lines();
    let uid: u32 = about.next().unwrap().parse().unwrap();
    let ours = host_sys::creds::effective().0;
    assert!(uid != 0 && (ours != 0) == (uid == ours), "{uid}");
    assert_eq!(about.next(), Some("hello"));
    assert_eq!(about.next(), scene.file("app").to_str());
    let seen: Vec<_> = about.collect();
    assert!(!seen.contains(&"root"), "the host's root directory is not in view: {seen:?}");
    assert_eq!((metrics.sinks[0].delivered, metrics.sinks[0].retries), (3000, 0));
}

#[test]
fn a_program_that_ends_is_started_again_and_gets_what_it_had_not_read() {
    // Reads a header and two records, byte by byte as shells do, and fails.
    let program = "read h; read a; read b; echo \"$a\n$b\" >> work/lines; echo sorry >&2; exit 3";
    let mut scene = scene(program, "");
    let routing = scene.route(vec![sink(&address(&scene))]);
    scene.write_numbers(1..=6);
    until("six records", || work(&scene, "lines").lines().count() == 6);
    let metrics = routing.finish(&scene);
    assert_eq!(seqs(&work(&scene, "lines")), [1, 2, 3, 4, 5, 6]);
    let said = &metrics.sinks[0].last_error.as_ref().unwrap().said;
    assert_eq!(said, "take exited with 3: sorry");
}

#[test]
fn a_program_that_can_not_be_started_keeps_its_records() {
    let mut scene = scene("true", "");
    let missing = format!("exec:{}/missing", scene.file("app").display());
    let routing = scene.route(vec![sink(&missing)]);
    scene.write_numbers(1..=3);
    until("words", || {
        let sinks = scene.metrics().sinks;
        sinks.first().is_some_and(|sink| sink.last_error.is_some())
    });
    let metrics = routing.stop();
    let said = &metrics.sinks[0].last_error.as_ref().unwrap().said;
    assert!(said.starts_with("missing can't be started: "), "{said}");
    assert_eq!(metrics.sinks[0].lag_records, 3);
}

#[test]
fn a_program_that_does_not_end_is_ended() {
    // Ignores the end of its input, not a signal.
    let program = "cat > work/lines; echo 1 > work/over; sleep 1000";
    let mut scene = scene(program, "[stop]\ngrace = \"1s\"\n");
    let routing = scene.route(vec![sink(&address(&scene))]);
    scene.write_numbers(1..=3);
    routing.finish(&scene);
    assert_eq!(seqs(&work(&scene, "lines")), [1, 2, 3]);
    assert_eq!(work(&scene, "over"), "1\n");
}

/// What is killed is the router: its programs die with it, in the middle of a line perhaps.
#[test]
fn a_program_misses_nothing_when_all_is_killed() {
    let mut scene = scene("exec cat >> work/lines", "");
    scene.write_numbers(1..=20_000);
    let wanted = [sink(&address(&scene))];
    kill_again_and_again(&scene, &wanted, 20_000);
    let lines = std::fs::read(scene.file("app/work").join("lines")).unwrap();
    let text = String::from_utf8_lossy(&lines);
    let whole = text.lines().filter_map(|line| {
        // A line that was torn has the next one behind it.
        let line = &line[line.rfind("{\"v\":1,\"seq\"")?..];
        serde_json::from_str::<Value>(line).ok()?["seq"].as_u64()
    });
    let (mut highest, mut greatest) = (0, 0);
    for seq in whole {
        assert!(seq <= highest + 1, "{seq} after {highest}");
        greatest = greatest.max((highest + 1).saturating_sub(seq));
        highest = highest.max(seq);
    }
    assert_eq!(highest, 20_000);
    assert!(greatest <= 4096, "of one batch at most: {greatest}");
}
