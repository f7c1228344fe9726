//! Promise: where the records of an app go is seen and changed while it runs: each change is on disk
//! before it counts, wakes the loggers of that app and no other, and is nobody's but whom the host
//! policy lets; a test says in words whether a sink takes records.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::hostd::Hostd;
use crate::support::{As, EVERYONE, Scene, USER, descendants, eventually, kill};

/// What stands in for the logger of an instance: its folder below RUN, and how its sinks do.
struct Logger {
    control: UnixDatagram,
}

impl Logger {
    fn new(scene: &Scene, instance: &str, sinks: &Value) -> Logger {
        let folder = scene.outside().join("run/logs").join(instance);
        fs::create_dir_all(&folder).unwrap();
        let metrics = json!({
            "v": 1, "at": "2026-11-27T10:00:00Z", "lines_in": 10, "lines_out": 9, "lines_dropped": 0,
            "stalls": 0, "stalled_ms": 0, "last_seq": 10, "sinks": sinks,
        });
        fs::write(folder.join("metrics.json"), metrics.to_string()).unwrap();
        let control = UnixDatagram::bind(folder.join("control")).unwrap();
        fs::set_permissions(folder.join("control"), PermissionsExt::from_mode(0o666)).unwrap();
        control.set_nonblocking(true).unwrap();
        Logger { control }
    }

    /// How often it was woken since this was asked last.
    fn woken(&self) -> usize {
        let mut buffer = [0; 64];
        let mut count = 0;
        while let Ok(length) = self.control.recv(&mut buffer) {
            assert_eq!(&buffer[..length], b"sinks");
            count += 1;
        }
        count
    }
}

fn sink(to: &str, state: &str) -> Value {
    json!({
        "to": to, "state": state, "delivered": 9, "filtered": 0, "missed": 0, "parked": 1,
        "rejected": 0, "retries": 3, "lag_records": 31, "lag_seconds": 12.5,
        "last_error": { "at": "2026-11-27T10:00:00Z", "said": "connection refused" },
    })
}

fn changes(scene: &Scene) -> Value {
    let path = scene.state().join("logs/shop/sinks.json");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn sinks_are_listed_added_and_removed_and_loggers_are_woken() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.written("shop", "web", 1, 1).say(1, "one");
        scene.written("other", "main", 1, 1).say(1, "one");
        let web = Logger::new(&scene, "shop.web.1", &json!([sink("journal", "waiting")]));
        let other = Logger::new(&scene, "other.main.1", &json!([]));
        // By its files, and then by hostd: the same words.
        for by_hostd in [false, true] {
            let _hostd = by_hostd.then(|| Hostd::start(&scene));
            let listed = scene.run(["sinks"]).exited(0).out;
            let row: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
            assert_eq!(
                row,
                [
                    "shop.web.1",
                    "journal",
                    "waiting",
                    "9",
                    "31,",
                    "12",
                    "s",
                    "3",
                    "1",
                    "connection",
                    "refused"
                ]
            );
            let add =
                ["sinks", "add", "shop", "file:out.log", "--when", "level>=warn", "--rotate", "1M"];
            let ran = scene.run(add).exited(0);
            let path = scene.app().join("out.log").display().to_string();
            assert!(
                ran.err
                    .contains(&format!("shop: records go to file:{path} when level>=warn as well")),
                "{}",
                ran.err
            );
            assert_eq!((web.woken(), other.woken()), (1, 0));
            assert!(scene.run(add).exited(0).err.contains("is there already"));
            let removed = ["sinks", "remove", "shop", "journal"];
            assert!(scene.run(removed).exited(0).err.contains("no more records go to journal"));
            assert!(scene.run(removed).exited(0).err.contains("is removed already"));
            assert_eq!((web.woken(), other.woken()), (1, 0), "what changes nothing wakes nobody");
            assert_eq!(
                changes(&scene),
                json!({
                    "v": 1,
                    "added": [{ "to": format!("file:{path}"), "when": "level>=warn", "rotate": "1M" }],
                    "removed": [{ "to": "journal" }],
                })
            );
            let unknown = scene.run(["sinks", "remove", "shop", "http://box/"]).exited(65);
            assert!(unknown.err.contains("shop has no sink http://box/"), "{}", unknown.err);
            scene
                .run(["sinks", "remove", "shop", "file:out.log", "--when", "level>=warn"])
                .exited(0);
            scene.run(["sinks", "add", "shop", "journal"]).exited(0);
            assert_eq!(changes(&scene), json!({ "v": 1 }));
            assert_eq!(web.woken(), 2);
        }
        for (arguments, code, said) in [
            (&["sinks", "add", "shop", "jornal"][..], 2, "did you mean"),
            (
                &["sinks", "add", "shop", "journal", "--copies", "3"],
                2,
                "only file: sinks keep copies",
            ),
            (&["sinks", "add", "shop", "journal", "--when", "level"], 2, "filter"),
            (&["sinks", "add", "nobody", "journal"], 65, "nobody"),
        ] {
            let ran = scene.run(arguments).exited(code);
            assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
        }
    }
}

#[test]
fn what_is_added_to_an_app_that_does_not_run_waits_for_it() {
    let scene = Scene::new(As::Root);
    scene.written("shop", "web", 1, 1).say(1, "one");
    scene.run(["sinks", "add", "shop", "syslog:udp://127.0.0.1:514"]).exited(0);
    let listed = scene.run(["sinks", "ls", "shop"]).exited(0).out;
    assert!(listed.contains("syslog:udp://127.0.0.1:514 (added)  not running"), "{listed}");
    let json: Value =
        serde_json::from_str(&scene.run(["sinks", "ls", "--json"]).exited(0).out).unwrap();
    assert_eq!(
        json["sinks"],
        json!([{ "app": "shop", "to": "syslog:udp://127.0.0.1:514", "added": true }])
    );
}

#[test]
fn lost_lines_are_an_event() {
    let scene = Scene::new(As::Root);
    let _logger = Logger::new(&scene, "shop.web.1", &json!([]));
    let file = scene.outside().join("run/logs/shop.web.1/metrics.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"lines_dropped\":0", "\"lines_dropped\":5")).unwrap();
    let hostd = Hostd::start(&scene);
    let mut events = hostd.api().follow("app=shop&since=0");
    let event = events.until("warning", "5 lines of its log were lost");
    assert_eq!((&event["service"], &event["instance"]), (&json!("web"), &json!("shop.web.1")));
}

#[test]
fn the_status_of_an_app_counts_its_lines() {
    let scene = Scene::new(As::Root);
    let hostd = Hostd::start(&scene);
    let script = "seq 7; until [ -e go ]; do sleep 0.02; done; seq 5; exec sleep 600";
    hostd.deploy_and_wait(&format!(
        "name = \"shop\"\nready = \"10ms\"\nrun = [\"sh\", \"-c\", \"{script}\"]\n"
    ));
    let lines = || hostd.instance("shop.main.1")["log"]["lines"].as_u64();
    eventually("they are counted", || lines() == Some(7));
    scene.write("go", "");
    eventually("so are those that follow", || lines() == Some(12));
    let shown = scene.run(["status", "shop"]).exited(0).out;
    assert!(shown.contains("log       12 lines\n"), "{shown}");
    assert!(scene.run(["top", "shop"]).exited(0).out.contains("LINES/S"));
    // Nothing of it is left when the instance is gone.
    scene.run(["stop", "shop", "--wait"]).exited(0);
    let folder = scene.outside().join("run/logs/shop.main.1");
    eventually("its folder is gone", || !folder.exists());
}

/// The numbers of the records in a file.
fn numbers(path: &std::path::Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    whole.filter_map(|record| record["seq"].as_u64()).collect()
}

#[test]
fn sinks_come_and_go_while_the_app_runs() {
    let scene = Scene::new(As::Root);
    let folder = scene.open_directory("out");
    let hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(
        "name = \"shop\"\nready = \"10ms\"\n\
         run = [\"sh\", \"-c\", \"while echo line; do sleep 0.02; done\"]\n",
    );
    let pid = hostd.pid_of("shop.main.1");
    let written = || {
        let ran = scene.run(["logs", "shop", "-n", "1", "--json"]);
        let line: Value = serde_json::from_str(ran.out.trim()).unwrap_or_default();
        line["seq"].as_u64().unwrap_or(0)
    };
    eventually("it writes", || written() > 20);
    let (late, whole) = (folder.join("late.log"), folder.join("whole.log"));
    let address = |path: &std::path::Path| format!("file:{}", path.display());
    let before = written();
    scene.run(["sinks", "add", "shop", &address(&late)]).exited(0);
    scene.run(["sinks", "add", "shop", &address(&whole), "--from-beginning"]).exited(0);
    eventually("both get more", || numbers(&late).len() > 20 && numbers(&whole).len() > 20);
    assert!(numbers(&late)[0] > before, "from now on");
    assert_eq!(numbers(&whole)[0], 1, "from the beginning on");
    assert_eq!(hostd.pid_of("shop.main.1"), pid, "no instance was started anew for it");
    // The next start has them, too, and goes on where the one before it was.
    scene.run(["stop", "shop", "--wait"]).exited(0);
    scene.run(["start", "shop", "--wait"]).exited(0);
    let restarted = written();
    eventually("they go on", || numbers(&whole).last().is_some_and(|last| *last > restarted + 5));
    let pid = hostd.pid_of("shop.main.1");
    let listed = scene.run(["sinks", "ls", "shop"]).exited(0).out;
    assert!(listed.contains(&format!("{} (added)", address(&whole))), "{listed}");
    scene.run(["sinks", "remove", "shop", &address(&late)]).exited(0);
    eventually("it gets no more", || {
        let count = numbers(&late).len();
        let now = written();
        eventually("more is written", || written() > now + 5);
        numbers(&late).len() == count
    });
    assert_eq!(hostd.pid_of("shop.main.1"), pid);
    scene.run(["stop", "shop", "--wait"]).exited(0);
    let last = written();
    eventually("the other gets everything", || numbers(&whole).last() == Some(&last));
    assert_eq!(numbers(&whole), (1..=last).collect::<Vec<_>>(), "each once, in order");
    let late = numbers(&late);
    let range: Vec<u64> = (late[0]..=*late.last().unwrap()).collect();
    assert_eq!(late, range, "and this one as long as it was there");
}

#[test]
fn a_program_is_added_to_an_app_that_runs() {
    let scene = Scene::new(As::Root);
    scene.open_directory("out");
    let ship = scene.script("ship", "#!/bin/sh\nexec cat >> out/shipped.log\n");
    let hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(
        "name = \"shop\"\nready = \"10ms\"\naccess.write = [\"out\"]\n\
         run = [\"sh\", \"-c\", \"while echo line; do sleep 0.02; done\"]\n",
    );
    let pid = hostd.pid_of("shop.main.1");
    let to = format!("exec:{}", ship.display());
    let ran = scene.run(["sinks", "test", "shop", &to]).exited(0);
    assert!(ran.out.contains("has taken one record"), "{}{}", ran.out, ran.err);
    let shipped = scene.app().join("out/shipped.log");
    assert!(fs::read_to_string(&shipped).unwrap().contains("\"seq\":0"), "as the app's own user");
    fs::remove_file(&shipped).unwrap();
    scene.run(["sinks", "add", "shop", &to]).exited(0);
    eventually("it gets records", || numbers(&shipped).len() > 20);
    let got = numbers(&shipped);
    assert_eq!(got, (got[0]..got[0] + got.len() as u64).collect::<Vec<_>>());
    assert_eq!(hostd.pid_of("shop.main.1"), pid);
}

#[test]
fn an_app_that_says_nothing_for_a_while_is_sent_to_a_new_sink() {
    let scene = Scene::new(As::Root);
    let folder = scene.open_directory("out");
    let hostd = Hostd::start(&scene);
    let script =
        "echo one; echo two; until [ -e go ]; do sleep 0.02; done; echo three; exec sleep 600";
    hostd.deploy_and_wait(&format!(
        "name = \"shop\"\nready = \"10ms\"\nrun = [\"sh\", \"-c\", \"{script}\"]\n"
    ));
    let said = || scene.run(["logs", "shop", "--raw"]).out == "one\ntwo\n";
    eventually("it has said it", said);
    // Its logger has nothing to do, and goes in a while; here it goes at once.
    for pid in descendants(hostd.keepers()[0]) {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line.starts_with("hostctl-logger") {
            kill("KILL", pid);
        }
    }
    let (whole, late) = (folder.join("whole.log"), folder.join("late.log"));
    for (path, more) in [(&late, None), (&whole, Some("--from-beginning"))] {
        let to = format!("file:{}", path.display());
        let add = ["sinks", "add", "shop", &to].into_iter().chain(more);
        scene.run(add).exited(0);
    }
    eventually("it is sent", || numbers(&whole) == [1, 2]);
    scene.write("go", "");
    eventually("so is the rest", || numbers(&whole) == [1, 2, 3] && !numbers(&late).is_empty());
    assert_eq!(numbers(&late), [3]);
}

/// Answers one request with this status; what was asked.
fn answering(status: &'static str) -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&asked).contains("a test of this sink") {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&asked));
            asked.extend(&buffer[..count]);
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&asked).into_owned()
    });
    (port, thread)
}

#[test]
fn a_test_says_whether_a_sink_takes_records() {
    let scene = Scene::new(As::Root);
    scene.written("shop", "web", 1, 1).say(1, "one");
    for by_hostd in [false, true] {
        let _hostd = by_hostd.then(|| Hostd::start(&scene));
        let (port, asked) = answering("204 No Content");
        let to = format!("http://127.0.0.1:{port}/push");
        let ran = scene.run(["sinks", "test", "shop", &to, "--header", "Authorization=Bearer x"]);
        let ran = ran.exited(0);
        assert!(ran.out.contains(&format!("{to}: taken: ")), "{}{}", ran.out, ran.err);
        let asked = asked.join().unwrap();
        assert!(asked.to_ascii_lowercase().contains("authorization: bearer x"), "{asked}");
        let (port, _asked) = answering("401 Unauthorized");
        let ran = scene.run(["sinks", "test", "shop", &format!("http://127.0.0.1:{port}/")]);
        let ran = ran.exited(1);
        assert!(ran.out.contains("not taken: ") && ran.out.contains("401"), "{}", ran.out);
        // Nobody is there.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ran = scene.run(["sinks", "test", "shop", &format!("http://{free}/")]).exited(1);
        assert!(ran.out.contains(&format!("nobody listens at {free}")), "{}", ran.out);
        // Every sink of the app, without a word about which.
        let (port, asked) = answering("200 OK");
        let to = format!("loki+http://127.0.0.1:{port}");
        scene.run(["sinks", "add", "shop", &to]).exited(0);
        let ran = scene.run(["sinks", "test", "shop"]).exited(0);
        assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
        assert!(asked.join().unwrap().contains("/loki/api/v1/push"));
        scene.run(["sinks", "remove", "shop", &to]).exited(0);
    }
}

#[test]
fn who_may_deploy_may_send_records_away_but_not_with_hostds_rights() {
    let scene = Scene::new(As::Root);
    scene.written("shop", "web", 1, 1).say(1, "one");
    let hostd = Hostd::start(&scene);
    let rule = format!("[[users]]\nuid = {USER}\napps = [\"shop\"]\nmay = [\"deploy\"]\n");
    fs::write(scene.config().join("policy.toml"), rule).unwrap();
    let user = Api { user: Some((USER, USER, Vec::new())), ..hostd.api() };
    let target: PathBuf = scene.outside().join("taken");
    for to in [
        format!("file:{}", target.display()),
        "exec:/bin/true".to_owned(),
        "syslog:unix:/dev/log".to_owned(),
    ] {
        let entry = json!({ "to": to });
        let said = user.ask("POST", "/v1/apps/shop/sinks", &entry).refused(422);
        assert!(said.contains("with its own rights"), "{said}");
        let test = json!({ "sink": entry });
        user.ask("POST", "/v1/apps/shop/sinks/test", &test).refused(422);
    }
    assert!(!target.exists());
    let entry =
        json!({ "to": "http://127.0.0.1:9/", "headers": { "Authorization": "Bearer secret" } });
    user.ask("POST", "/v1/apps/shop/sinks", &entry).done();
    user.ask("POST", "/v1/apps/other/sinks", &entry).refused(403);
    user.ask("DELETE", "/v1/apps/shop/sinks", &json!({ "to": "http://127.0.0.1:9/" })).done();
    let log = fs::read_to_string(scene.state().join("audit.log")).unwrap();
    for (action, outcome) in
        [("add-sink", "done"), ("remove-sink", "done"), ("add-sink", "refused")]
    {
        let found = log.lines().any(|line| {
            let entry: Value = serde_json::from_str(line).unwrap();
            entry["action"] == action && entry["outcome"] == outcome && entry["uid"] == USER
        });
        assert!(found, "{action} {outcome} is not in\n{log}");
    }
    assert!(!log.contains("Bearer secret"), "{log}");
}
