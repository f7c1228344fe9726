//! Promise: what is in the logs can be read: whole, each record once and in its order, over rotation,
//! restarts, versions and new instances, through the files and through hostd alike; by nobody whom the
//! host policy does not let; and nothing of it drives a terminal.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::hostd::Hostd;
use crate::support::{As, EVERYONE, Ran, Scene, USER, eventually};

/// Two instances of two versions, with something of everything.
fn shop(scene: &Scene) {
    let mut web = scene.written("shop", "web", 1, 1);
    web.say(0, "one");
    web.record(2, json!({
        "body": "payment failed", "severity": "error", "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "attributes": { "stream": "stdout", "status": 502, "path": "/pay now" },
    }));
    let mut web = scene.written("shop", "web", 1, 2);
    web.record(4, json!({
        "body": "caf\u{fffd}\u{0}\u{1b}[2J", "attributes": { "stream": "stderr", "bytes_hex": "636166e9001b5b324a" },
    }));
    web.record(6, trace("ValueError", "0f0f0f0f0f0f0f0f"));
    let mut db = scene.written("shop", "db", 1, 2);
    db.say(1, "ready");
    db.record(5, json!({ "body": "slow", "severity": "warn" }));
    let mut other = scene.written("other", "main", 1, 1);
    other.say(3, "somebody else's");
}

fn trace(kind: &str, fingerprint: &str) -> Value {
    json!({
        "body": "Traceback (most recent call last):", "severity": "error", "attributes": {
            "stream": "stderr", "exception.type": kind, "exception.message": "no",
            "exception.stacktrace": format!("Traceback (most recent call last):\n  File \"pay.py\", line 7\n{kind}: no"),
            "exception.fingerprint": fingerprint, "exception.language": "python",
        },
    })
}

/// Lines without their times.
fn texts(ran: &Ran) -> Vec<String> {
    ran.out
        .lines()
        .map(|line| line.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).to_owned())
        .collect()
}

fn records(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn records_are_shown_as_text_as_json_and_as_they_were_written() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        shop(&scene);
        let ran = scene.run(["logs", "shop"]).exited(0);
        assert_eq!(
            texts(&ran),
            [
                "web.1 INFO  one",
                "db.1  INFO  ready",
                "web.1 ERROR payment failed status=502 path=\"/pay now\"",
                "web.1 INFO  caf\u{fffd}\\u{0}\\u{1b}[2J",
                "db.1  WARN  slow",
                "web.1 ERROR Traceback (most recent call last):",
                "File \"pay.py\", line 7",
                "ValueError: no",
            ],
            "{}",
            ran.out
        );
        let all = scene.run(["logs"]).exited(0);
        assert!(all.out.contains(" other.main.1 INFO  somebody else's\n"), "{}", all.out);
        let one = scene.run(["logs", "shop.db.1"]).exited(0);
        assert_eq!(texts(&one), ["INFO  ready", "WARN  slow"]);
        let json = records(&scene.run(["logs", "shop.web", "--json"]).exited(0).out);
        assert_eq!(json.len(), 4);
        assert_eq!(
            json[1],
            json!({
                "v": 1, "app": "shop", "service": "web", "instance": 1, "version": 1, "host": "box",
                "boot_id": "b", "started": "2026-11-27T09:00:01Z", "seq": 2,
                "ts": "2026-11-27T10:00:02.000000000Z", "severity": "error", "body": "payment failed",
                "attributes": { "stream": "stdout", "status": 502, "path": "/pay now" },
                "trace_id": "0af7651916cd43dd8448eb211c80319c",
            })
        );
        let raw = scene.hostctl(["logs", "shop.web", "--raw", "--version", "2"]).output().unwrap();
        let expected = b"caf\xe9\0\x1b[2J\nTraceback (most recent call last):\n  File \"pay.py\", line 7\nValueError: no\n";
        assert_eq!(raw.stdout, expected);
    }
}

/// hostctl by way of the hostd of another machine, which is this one.
fn by_way_of_hostd(scene: &Scene, arguments: &[&str]) -> std::process::Command {
    let ssh = "#!/bin/sh\nshift 3; exec \"$@\"\n";
    let bin = scene.script("bin/ssh", ssh);
    let bin = bin.parent().unwrap();
    let _ = std::os::unix::fs::symlink(crate::support::hostctl(), bin.join("hostctl"));
    let mut command = scene.hostctl(["--host", "box"].iter().chain(arguments));
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    command
}

#[test]
fn the_files_and_hostd_give_the_same() {
    let scene = Scene::new(As::Root);
    shop(&scene);
    let _hostd = Hostd::start(&scene);
    for (arguments, count) in [
        (&["shop"][..], 6),
        (&[], 7),
        (&["shop.web"], 4),
        (&["shop", "--instance", "1"], 6),
        (&["shop", "--version", "1"], 2),
        (&["shop", "--since", "2026-11-27T10:00:02Z", "--until", "2026-11-27T10:00:05Z"], 2),
        (&["shop", "--level", "warn"], 3),
        (&["shop", "--stream", "stderr"], 2),
        (&["shop", "--grep", "pay\\.py|^slow$"], 2),
        (&["shop", "--where", "status>=500", "--where", "path~now"], 1),
        (&["shop", "-n", "2"], 2),
        (&["shop", "-n", "1", "--grep", "o"], 1),
        (&["shop", "-n", "0"], 0),
    ] {
        let all = [&["logs", "--json"], arguments].concat();
        let files = scene.run(&all).exited(0);
        let hostd = Ran::from(by_way_of_hostd(&scene, &all).output().unwrap());
        assert_eq!(hostd.code, 0, "{arguments:?}: {}", hostd.err);
        assert_eq!(files.out, hostd.out, "{arguments:?}");
        assert_eq!(files.out.lines().count(), count, "{arguments:?}: {}", files.out);
        let text = [&["logs"], arguments].concat();
        let files = scene.run(&text).exited(0);
        let hostd = Ran::from(by_way_of_hostd(&scene, &text).output().unwrap());
        assert_eq!(files.out, hostd.out, "{arguments:?}");
    }
}

#[test]
fn what_is_asked_wrongly_is_said_before_anything_is_read() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        for (arguments, code, said) in [
            (&["logs", "shop"][..], 65, "there are no logs of shop"),
            (&["logs", "--since", "tomorrow"], 2, "expected a time: 10m (ago), today"),
            (&["logs", "--level", "loud"], 2, "\"loud\" is no level"),
            (&["logs", "--grep", "("], 2, "the regular expression: unclosed group"),
            (&["logs", "--where", "status"], 2, "the filter \"status\""),
            (&["logs", "--json", "--raw"], 2, "cannot be used with"),
            (&["logs", "-n", "100001"], 2, "100001 is not in"),
        ] {
            let ran = scene.run(arguments).exited(code);
            assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
        }
        shop(&scene);
        let ran = scene.run(["logs", "shop.cache"]).exited(65);
        assert!(ran.err.contains("there are logs of shop.db.1, shop.web.1"), "{}", ran.err);
        let ran = scene.run(["logs", "ship"]).exited(65);
        assert!(ran.err.contains("other.main.1, shop.db.1"), "{}", ran.err);
    }
}

/// Follow, write 600 records in files of 1 KiB by three starts of one instance and one new instance,
/// and have each exactly once.
fn followed(scene: &Scene, mut command: std::process::Command) {
    let mut web = scene.written("shop", "web", 1, 1);
    web.room = 1024;
    (0..50).for_each(|number| web.say(number, "before"));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen: BTreeMap<(String, u64), Vec<u64>> = BTreeMap::new();
    let mut take = |count: usize| {
        for _ in 0..count {
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            let who = format!("{}.{}", line["service"].as_str().unwrap(), line["instance"]);
            let version = line["version"].as_u64().unwrap();
            seen.entry((who, version)).or_default().push(line["seq"].as_u64().unwrap());
        }
    };
    take(10);
    for version in 1..4 {
        let mut web = scene.written("shop", "web", 1, version);
        web.room = 1024;
        for number in 0..200 {
            web.say(50 + number, &"x".repeat(100));
            if number % 50 == 0 {
                take(1);
            }
        }
        take(196);
        assert!(web.files().len() > 50, "it was rotated");
    }
    let mut late = scene.written("shop", "web", 2, 3);
    late.say(3000, "late");
    take(1);
    drop(lines);
    // Nobody reads any more: it ends by itself.
    eventually("the follower ends", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let of = |who: &str, version| seen[&(who.to_owned(), version)].clone();
    assert_eq!(of("web.1", 1), (41..=250).collect::<Vec<_>>());
    assert_eq!(of("web.1", 2), (251..=450).collect::<Vec<_>>());
    assert_eq!(of("web.1", 3), (451..=650).collect::<Vec<_>>());
    assert_eq!(of("web.2", 3), [1]);
}

#[test]
fn a_follower_has_each_record_once_over_rotation_restarts_and_new_instances() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        followed(&scene, scene.hostctl(["logs", "shop", "-f", "--json"]));
    }
    let scene = Scene::new(As::Root);
    let _hostd = Hostd::start(&scene);
    followed(&scene, by_way_of_hostd(&scene, &["logs", "shop", "-f", "--json"]));
}

#[test]
fn what_was_deleted_and_what_is_damaged_is_told_where_it_was() {
    let scene = Scene::new(As::Root);
    let mut web = scene.written("shop", "web", 1, 1);
    for number in 1..=3 {
        web.say(number, &format!("{number}"));
    }
    web.rotate();
    for number in 4..=6 {
        web.say(number, &format!("{number}"));
    }
    let file = web.files().pop().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"body\":\"5\"", "\"body\":\"!\"")).unwrap();
    let ran = scene.run(["logs", "shop"]).exited(0);
    assert_eq!(
        texts(&ran),
        ["INFO  1", "INFO  2", "INFO  3", "INFO  4", "record is missing: damaged", "INFO  6"]
    );
    assert!(ran.out.contains(" --- 1 record is missing: damaged\n"), "{}", ran.out);
    let json = records(&scene.run(["logs", "shop", "--json"]).exited(0).out);
    assert_eq!((&json[4]["seq"], &json[4]["attributes"]["gap"]), (&json!(5), &json!(1)));
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let scene = Scene::new(As::Root);
    let mut web = scene.written("shop", "web", 1, 1);
    (0..20_000)
        .for_each(|number| web.say(number / 10, "a line that is long enough to fill a pipe"));
    for follow in [&[][..], &["-f", "-n", "20000"]] {
        let mut command = scene.hostctl([&["logs", "shop"], follow].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        output.read_exact(&mut [0; 100]).unwrap();
        drop(output);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    }
}

#[test]
fn logs_are_read_by_whom_the_policy_lets_deploy() {
    let scene = Scene::new(As::Root);
    shop(&scene);
    let hostd = Hostd::start(&scene);
    let user = Api { user: Some((USER, USER, Vec::new())), ..hostd.api() };
    let ask = |app: &str| user.ask("GET", &format!("/v1/logs?app={app}"), &Value::Null);
    for may in [None, Some("look"), Some("control"), Some("exec"), Some("run")] {
        let rule = may.map_or(String::new(), |verb| {
            format!("[[users]]\nuid = {USER}\napps = [\"shop\"]\nmay = [\"{verb}\"]\n")
        });
        std::fs::write(scene.config().join("policy.toml"), rule).unwrap();
        let said = ask("shop").refused(403);
        assert!(said.contains("may = [\"deploy\"]"), "{said}");
    }
    let rule = format!("[[users]]\nuid = {USER}\napps = [\"shop\"]\nmay = [\"deploy\"]\n");
    std::fs::write(scene.config().join("policy.toml"), rule).unwrap();
    let answer = ask("shop");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.to_ascii_lowercase().contains("hostctl-instances: 2"), "{}", answer.head);
    assert_eq!(records(&answer.body).len(), 6);
    ask("other").refused(403);
    // Every app's, and what leads out of the folder of one.
    let said = user.ask("GET", "/v1/logs", &Value::Null).refused(403);
    assert!(said.contains("only root may"), "{said}");
    ask("..").refused(403);
    ask("shop%2F..%2Fother").refused(403);
    let root = hostd.api();
    assert_eq!(records(&root.ask("GET", "/v1/logs", &Value::Null).body).len(), 7);
    root.ask("GET", "/v1/logs?app=..%2Flogs%2Fshop", &Value::Null).refused(404);
    root.ask("GET", "/v1/logs?app=shop&sinse=7", &Value::Null).refused(400);
    root.ask("GET", "/v1/logs?app=shop&grep=(", &Value::Null).refused(400);
}

#[test]
fn who_does_not_take_what_it_asked_for_costs_hostd_little() {
    let scene = Scene::new(As::Root);
    let mut web = scene.written("shop", "web", 1, 1);
    let long = "x".repeat(10_000);
    (0..6000).for_each(|number| web.say(number, &long));
    let hostd = Hostd::start(&scene);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", hostd.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = resident();
    let mut slow: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = hostd.api().connect().unwrap();
            let head = "GET /v1/logs?app=shop&follow=true HTTP/1.1\r\nHost: hostd\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            stream.read_exact(&mut [0; 1000]).unwrap();
            stream
        })
        .collect();
    for _ in 0..100 {
        hostd.get("/v1/host");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB for 8 clients of a log of 60 MB");
    // And it is all there when it is taken.
    let stream = slow.pop().unwrap();
    drop(slow);
    let mut lines = 0;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while lines < 5900 {
        line.clear();
        assert!(reader.read_until(b'\n', &mut line).unwrap() > 0);
        lines += usize::from(line.len() > 5000);
    }
    hostd.get("/v1/host");
}

#[test]
fn tracebacks_are_grouped_by_where_they_come_from() {
    let scene = Scene::new(As::Root);
    shop(&scene);
    let mut web = scene.written("shop", "web", 1, 3);
    web.record(20, trace("ValueError", "0f0f0f0f0f0f0f0f"));
    web.record(21, json!({
        "body": "ended by SIGSEGV: it used memory that it does not have", "severity": "fatal",
        "attributes": {
            "stream": "agent", "exception.type": "SIGSEGV", "exception.message": "it used memory that it does not have",
            "exception.language": "signal", "exception.fingerprint": "aa0f0f0f0f0f0f0f",
            "exception.stacktrace": "#0 handle+0x1f (/srv/shop/server+0x1234)",
            "crash.last_lines": ["before it"], "crash.core": "the core is /srv/shop/core",
        },
    }));
    let _hostd = Hostd::start(&scene);
    for ran in [
        scene.run(["tracebacks", "shop"]),
        Ran::from(by_way_of_hostd(&scene, &["tracebacks", "shop"]).output().unwrap()),
    ] {
        let out = ran.exited(0).out;
        let rows: Vec<Vec<&str>> =
            out.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows.len(), 3, "{out}");
        assert_eq!(rows[1][..2], ["aa0f0f0f0f0f0f0f", "1"], "the most recent first: {out}");
        assert_eq!(rows[2][..2], ["0f0f0f0f0f0f0f0f", "2"], "{out}");
        assert!(out.contains("2 to 3") && out.contains("SIGSEGV: it used memory"), "{out}");
    }
    let shown = scene.run(["tracebacks", "shop", "--show", "aa"]).exited(0).out;
    for part in ["#0 handle+0x1f", "| before it", "the core is /srv/shop/core", "once, first"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let json: Value =
        serde_json::from_str(&scene.run(["tracebacks", "--json"]).exited(0).out).unwrap();
    let group = &json["groups"][1];
    assert_eq!((&group["count"], &group["versions"]), (&json!(2), &json!([2, 3])));
    assert_eq!(group["example"]["version"], 3);
    let ran = scene.run(["tracebacks", "--show", "ff"]).exited(65);
    assert!(ran.err.contains("no stack trace and no crash has the fingerprint ff"), "{}", ran.err);
    let quiet = scene.run(["tracebacks", "other"]).exited(0);
    assert!(quiet.err.contains("nothing went wrong"), "{}", quiet.err);
}
