//! Promise: what fails is said and started again, ever more slowly; what is ready is known to be;
//! what is to end is told so, in order, and is gone after its grace.

use std::fs;

use serde_json::{Value, json};

use crate::support::hostd::{Hostd, Journal};
use crate::support::namespace::alone;
use crate::support::{As, Scene, eventually, kill};

/// An app whose program is this; `rest` are further lines.
fn app(run: &str, rest: &str) -> String {
    format!(
        "name = \"demo\"\nrun = {run:?}\naccess.write = [\"journal\"]\n\
         env = {{ JOURNAL = \"journal\" }}\n{rest}\n"
    )
}

fn with(act: impl FnOnce(&Scene, &Journal, &mut Hostd<'_>) + Send) {
    alone(|| {
        let scene = Scene::new(As::Root);
        let journal = scene.service();
        act(&scene, &journal, &mut Hostd::start(&scene));
    });
}

/// Why an instance waits.
fn reason(hostd: &Hostd<'_>) -> String {
    hostd.until("demo.main.1", "backing-off")["reason"].as_str().unwrap().to_owned()
}

fn remove(hostd: &Hostd<'_>) {
    hostd.api().ask("DELETE", "/v1/apps/demo", &Value::Null).done();
    eventually("it is gone", || {
        hostd.api().ask("GET", "/v1/apps/demo", &Value::Null).status == 404
    });
}

#[test]
fn every_end_is_told_as_what_it_was() {
    with(|scene, _, hostd| {
        scene.write("main.py", "import ctypes\nctypes.CDLL(None).mount(0, b'/', 0, 0, 0)\n");
        scene.write("no-program", "just text\n");
        let ends = [
            ("sh -c 'exit 7'", "exited with 7"),
            ("sh -c 'exit 0'", "exited with 0"),
            ("sh -c 'kill -SEGV $$'", "ended by SIGSEGV"),
            ("sh -c 'kill -KILL $$'", "ended by SIGKILL"),
            ("python3 main.py", "called mount(2), which is not allowed"),
            ("./missing", "not started: "),
            ("./no-program", "not started: "),
        ];
        for (run, why) in ends {
            hostd.deploy(&app(run, ""));
            let said = reason(hostd);
            assert!(said.contains(why), "{run}: {said}");
            if why == "not started: " {
                assert!(said.contains(run.trim_start_matches("./")), "{run}: {said}");
            }
            let event = hostd.api().follow("app=demo&since=0").until("backing-off", why);
            assert!(event["text"].as_str().unwrap().contains("; started again in "), "{event}");
            remove(hostd);
        }
    });
}

#[test]
fn a_port_that_a_stranger_holds_is_said_with_the_stranger() {
    with(|scene, _, hostd| {
        let program = "import socket\ns = socket.create_server(('127.0.0.1', 8080))\n\
                       print('listens', flush=True)\ninput()\n";
        let mut command = scene.command("/usr/bin/python3".as_ref());
        command.args(["-c", program]).stdin(std::process::Stdio::piped());
        let mut stranger = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = [0; 8];
        std::io::Read::read_exact(stranger.stdout.as_mut().unwrap(), &mut said).unwrap();
        hostd.deploy(&app("./service demo port", "port = 8080\naccess.address = \"host\""));
        let said = reason(hostd);
        let who = format!("pid {}", stranger.id());
        assert!(
            said.contains("port 8080/tcp is in use by python3") && said.contains(&who),
            "{said}"
        );
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        hostd.settled("demo");
    });
}

#[test]
fn waits_grow_the_breaker_opens_and_start_closes_it() {
    with(|_, journal, hostd| {
        hostd.deploy(&app("sh -c 'echo x >> journal/tries; echo broken; exit 7'", ""));
        let failed = hostd.api().follow("app=demo&since=0").until("failed", "8 times in a row");
        let text = failed["text"].as_str().unwrap();
        assert!(
            text.contains("last: exited with 7") && text.contains("tried again every"),
            "{text}"
        );
        let events = hostd.api().ask("GET", "/v1/events?app=demo", &Value::Null).body;
        let events: Vec<Value> =
            events.lines().map(|one| serde_json::from_str(one).unwrap()).collect();
        let waits: Vec<f64> = events
            .iter()
            .filter(|one| one["kind"] == "backing-off")
            .map(|one| {
                let text = one["text"].as_str().unwrap();
                text.rsplit(' ').nth(1).unwrap().parse().unwrap()
            })
            .collect();
        assert_eq!(waits.len(), 7, "{waits:?}");
        // Each is between a half and a whole of 0.1 s, doubled each time; said in tenths.
        for (place, wait) in waits.iter().enumerate() {
            let whole = 0.1 * f64::from(1 << place);
            assert!((whole / 2.0 - 0.06..=whole + 0.06).contains(wait), "{waits:?}");
        }
        let status = hostd.until("demo.main.1", "failed");
        assert_eq!((&status["failures"], &status["restarts"]), (&json!(8), &json!(7)));
        assert_eq!(status["last_lines"], json!(["broken"]));
        hostd.restart();
        let after = hostd.until("demo.main.1", "failed");
        assert_eq!((&after["reason"], &after["failures"]), (&status["reason"], &json!(8)));
        let tries = || fs::read_to_string(journal.0.join("tries")).unwrap().lines().count();
        assert_eq!(tries(), 8);
        hostd.post("/v1/apps/demo/start", &Value::Null).done();
        eventually("it is tried at once", || tries() > 8);
        assert!(reason(hostd).contains("exited with 7"));
        hostd.deploy_and_wait(&app("./service demo notify", "ready = \"notify\""));
    });
}

#[test]
fn an_instance_is_ready_when_it_says_so_answers_or_is_healthy() {
    let ways = [
        ("./service demo notify wait", "ready = \"notify\"", true),
        ("./service demo port wait", "port = 8080", true),
        ("./service demo port wait", "port = 8080\nhealth = \"tcp\"", true),
        ("./service demo port", "port = 8080\nhealth = \"/up\"", false),
        ("./service demo", "health = \"exec:sh -c 'test ! -e journal/sick'\"", false),
        (
            "./service demo",
            "health = { exec = \"sh -c 'test ! -e journal/sick'\", rise = 2 }\nready = \"health\"",
            false,
        ),
    ];
    for (run, rest, waits) in ways {
        with(|_, journal, hostd| {
            if !waits {
                journal.put("sick");
            }
            hostd.deploy(&app(run, rest));
            eventually("it starts", || journal.count("demo", "start") == 1);
            let status = hostd.status("demo");
            assert_eq!(status["services"][0]["instances"][0]["state"], "starting", "{rest}");
            if waits {
                journal.put("go");
            } else {
                journal.take("sick");
            }
            hostd.settled("demo");
            assert_eq!(journal.count("demo", "start"), 1, "{rest}");
        });
    }
}

#[test]
fn an_instance_that_is_up_for_its_time_is_ready() {
    with(|_, journal, hostd| {
        hostd.deploy(&app("./service demo", "ready = \"700ms\""));
        eventually("it starts", || journal.count("demo", "start") == 1);
        assert_eq!(hostd.instances("demo")[0]["state"], "starting");
        hostd.settled("demo");
    });
}

#[test]
fn one_that_is_not_ready_in_time_is_started_again() {
    with(|_, journal, hostd| {
        let ready = "ready = { by = \"notify\", within = \"1s\" }";
        hostd.deploy(&app("./service demo notify wait", ready));
        assert!(reason(hostd).contains("not ready within 1 s"));
        eventually("it is started again", || journal.count("demo", "start") == 2);
        assert_eq!(journal.count("demo", "end"), 1, "the first one was told to end");
        journal.put("go");
        hostd.settled("demo");
    });
}

#[test]
fn what_is_sick_is_started_again_and_what_is_healthy_never() {
    let checks = [
        (
            "./service demo port",
            "port = 8080\nhealth = { http = \"/up\", every = \"50ms\", fall = 3 }",
            "GET /up: answered 503",
        ),
        (
            "./service demo",
            "health = { exec = \"sh -c 'test ! -e journal/sick || exit 9'\", every = \"50ms\", \
             fall = 2 }",
            "exited with 9",
        ),
    ];
    for (run, rest, why) in checks {
        with(|_, journal, hostd| {
            hostd.deploy_and_wait(&app(run, rest));
            let first = hostd.pid_of("demo.main.1");
            // Longer than it takes to notice one that is sick.
            std::thread::sleep(std::time::Duration::from_millis(400));
            assert_eq!(hostd.pid_of("demo.main.1"), first);
            journal.put("sick");
            hostd.api().follow("app=demo&since=0").until("unhealthy", why);
            assert!(reason(hostd).contains(why), "{why}");
            journal.take("sick");
            hostd.settled("demo");
            let instance = hostd.instance("demo.main.1");
            assert_eq!(
                instance["restarts"].as_u64().unwrap() as usize + 1,
                journal.count("demo", "start")
            );
            let started = journal.count("demo", "start");
            // The next hostd looks after it alike.
            hostd.restart();
            hostd.settled("demo");
            journal.put("sick");
            eventually("it is started again", || journal.count("demo", "start") > started);
            journal.take("sick");
            hostd.settled("demo");
        });
    }
}

#[test]
fn a_check_runs_inside_with_the_rights_of_the_app() {
    with(|scene, _, hostd| {
        fs::write(scene.outside().join("secret"), "x").unwrap();
        let check = "id -u > journal/uid; ls / > journal/root; \
                     test -e ../secret && echo seen > journal/seen; true";
        scene.write("check.sh", check);
        hostd.deploy_and_wait(&app("./service demo", "health = \"exec:sh check.sh\""));
        let said = |name: &str| fs::read_to_string(scene.app().join("journal").join(name)).unwrap();
        let uid: u32 = said("uid").trim().parse().unwrap();
        assert!(uid >= 1_900_000_000, "{uid}");
        assert!(!scene.app().join("journal/seen").exists(), "what was not granted is not there");
        assert!(!said("root").lines().any(|one| one == "home"), "{}", said("root"));
    });
}

#[test]
fn the_stop_signal_and_the_grace_are_the_manifests() {
    with(|_, journal, hostd| {
        let run = "sh -c 'trap \"echo usr1 >> journal/got; exit 0\" USR1; \
                   trap \"echo term >> journal/got\" TERM; while :; do sleep 0.02; done'";
        let text = app(run, "ready = \"50ms\"\nstop = { signal = \"USR1\", grace = \"30s\" }");
        hostd.deploy_and_wait(&text);
        hostd.post("/v1/apps/demo/stop", &Value::Null).done();
        hostd.settled("demo");
        assert_eq!(fs::read_to_string(journal.0.join("got")).unwrap(), "usr1\n");
    });
}

#[test]
fn after_its_grace_everything_of_an_instance_is_killed() {
    with(|_, _, hostd| {
        let run = "sh -c 'trap \"\" TERM; \
                   setsid sh -c \"trap \\\"\\\" TERM HUP; sleep 300 & sleep 300\" & sleep 300'";
        hostd.deploy_and_wait(&app(run, "ready = \"200ms\"\nstop = \"1s\""));
        let all = crate::support::descendants(hostd.keepers()[0]);
        assert!(all.len() >= 5, "{all:?}");
        let api = hostd.api();
        hostd.post("/v1/apps/demo/stop", &Value::Null).done();
        api.follow("app=demo&since=0")
            .until("stopped", "did not end within its grace and was killed");
        hostd.settled("demo");
        let left: Vec<_> =
            all.iter().filter(|pid| fs::metadata(format!("/proc/{pid}")).is_ok()).collect();
        assert!(left.is_empty(), "{left:?}");
        // Nothing of a stopped app runs, and nothing of it is started again.
        hostd.restart();
        assert!(hostd.instances("demo").is_empty() && hostd.keepers().is_empty());
    });
}

#[test]
fn services_start_after_what_they_need_and_end_before_it() {
    with(|_, journal, hostd| {
        let service = |name: &str, needs: &str| {
            format!(
                "[services.{name}]\nrun = \"./service {name} notify\"\nready = \"notify\"\nneeds = [{needs}]\n\
             access.write = [\"journal\"]\nenv = {{ JOURNAL = \"journal\" }}\n"
            )
        };
        let text = [
            "name = \"shop\"\n".to_owned(),
            service("web", "\"cache\", \"db\""),
            service("cache", "\"db\""),
            service("db", ""),
        ]
        .concat();
        hostd.deploy_and_wait(&text);
        let after = |late: (&str, &str), early: (&str, &str)| {
            assert!(
                journal.last(late.0, late.1) > journal.last(early.0, early.1),
                "{late:?} {early:?}"
            );
        };
        after(("cache", "start"), ("db", "ready"));
        after(("web", "start"), ("cache", "ready"));
        hostd.post("/v1/apps/shop/stop", &Value::Null).done();
        hostd.settled("shop");
        after(("cache", "end"), ("web", "end"));
        after(("db", "end"), ("cache", "end"));
        hostd.post("/v1/apps/shop/start", &Value::Null).done();
        hostd.settled("shop");
        after(("cache", "start"), ("db", "ready"));
        after(("web", "start"), ("cache", "ready"));
        // A need that fails takes nobody along.
        let web = hostd.pid_of("shop.web.1");
        kill("KILL", crate::support::descendants(hostd.pid_of("shop.db.1") as i32)[0]);
        eventually("the need is started again", || journal.count("db", "start") == 3);
        hostd.settled("shop");
        assert_eq!(hostd.pid_of("shop.web.1"), web);
        assert_eq!(journal.count("web", "start"), 2);
        hostd.post("/v1/halt", &Value::Null).done();
        eventually("everything has ended", || hostd.keepers().is_empty());
        after(("cache", "end"), ("web", "end"));
        after(("db", "end"), ("cache", "end"));
        hostd.restart();
        hostd.settled("shop");
    });
}

#[test]
fn the_last_lines_are_shown_cleaned() {
    with(|_, _, hostd| {
        let run = "sh -c 'echo first; printf \"\\033[31mred\\a\\n\"; echo last >&2; exit 7'";
        hostd.deploy(&app(run, ""));
        let lines = hostd.until("demo.main.1", "backing-off")["last_lines"].clone();
        let text = lines.to_string();
        assert!(text.contains("first") && text.contains("red") && text.contains("last"), "{text}");
        assert!(!text.contains("u001b") && !text.contains("u0007"), "{text}");
    });
}
