//! Promise: what is deployed is seen, changed, gone back on and removed from the command line, and
//! each command says what it did and exits with what came of it.

use serde_json::Value;

use crate::support::hostd::Hostd;
use crate::support::namespace::alone;
use crate::support::ports::{Ports, get};
use crate::support::{As, EVERYONE, Ran, Scene, eventually};

/// A server that answers with $LEVEL, on a port of the test's own.
fn served(scene: &Scene, port: u16) {
    let program = "\
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get('LEVEL', 'none').encode())
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
";
    scene.write("main.py", program);
    scene
        .write("app.toml", &format!("name = \"demo\"\nrun = \"python3 main.py\"\nport = {port}\n"));
}

#[track_caller]
fn says(ran: &Ran, parts: &[&str]) {
    let said = format!("{}{}", ran.out, ran.err);
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
}

#[test]
fn without_a_hostd_it_is_said_how_one_is_started() {
    let scene = Scene::new(As::User);
    scene.write("app.toml", "name = \"demo\"\nrun = \"true\"\n");
    for command in
        [&["ps"][..], &["deploy", "app.toml"], &["exec", "demo", "--", "true"], &["proxy"]]
    {
        let ran = scene.run(command).exited(69);
        says(&ran, &["hostd does not run here", "systemctl start hostd"]);
    }
}

#[test]
fn a_host_is_never_an_option_and_local_commands_have_none() {
    let scene = Scene::new(As::User);
    scene.run(["--host=-oProxyCommand=touch pwned", "ps"]).exited(2);
    scene.run(["--host", "", "ps"]).exited(2);
    says(&scene.run(["--host", "box", "check", "app.toml"]).exited(2), &["ssh box"]);
    assert!(!scene.app().join("pwned").exists());
}

#[test]
fn an_app_is_deployed_seen_and_removed() {
    alone(|| {
        for who in EVERYONE {
            let scene = Scene::new(who);
            let ports = Ports::hold();
            let port = ports.number(0);
            served(&scene, port);
            let _hostd = Hostd::start(&scene);
            let ran = scene.run(["deploy", "app.toml", "--wait"]).exited(0);
            says(&ran, &["demo: version 1 deployed", "main.1 started", "version 1 serves"]);
            eventually("it answers", || get(port, "/").as_deref() == Some("none"));
            says(&scene.run(["deploy", "app.toml"]).exited(0), &["nothing is different"]);
            let ran = scene.run(["ps"]).exited(0);
            says(&ran, &["NAME", "demo.main.1", &port.to_string()]);
            says(
                &scene.run(["status", "demo"]).exited(0),
                &["demo: running, version 1", "1 of 1 serve"],
            );
            says(&scene.run(["top"]).exited(0), &["demo.main.1", "%"]);
            says(
                &scene.run(["events", "demo"]).exited(0),
                &["demo.main.1: started", "version 1 serves"],
            );
            says(&scene.run(["stop", "demo", "--wait"]).exited(0), &["is being stopped"]);
            assert_eq!(get(port, "/"), None);
            says(&scene.run(["ps"]).exited(0), &["demo", "stopped"]);
            scene.run(["start", "demo", "--wait"]).exited(0);
            scene.run(["restart", "demo.main", "--wait"]).exited(0);
            eventually("it answers again", || get(port, "/").is_some());
            says(&scene.run(["remove", "demo", "--data"]).exited(2), &["nobody is there to ask"]);
            says(&scene.run(["remove", "demo", "--wait"]).exited(0), &["removed"]);
            says(&scene.run(["status", "demo"]).exited(65), &["no app \"demo\" is deployed"]);
            says(&scene.run(["ps"]).exited(0), &["nothing is deployed"]);
        }
    });
}

#[test]
fn a_plan_is_applied_once_and_gone_back_on() {
    alone(|| {
        let scene = Scene::new(As::Root);
        let ports = Ports::hold();
        let port = ports.number(0);
        served(&scene, port);
        let _hostd = Hostd::start(&scene);
        says(
            &scene.run(["plan", "app.toml", "--deployed"]).exited(2),
            &["not deployed yet", "+ new"],
        );
        scene.run(["deploy", "app.toml", "--wait"]).exited(0);
        scene.run(["plan", "app.toml", "--deployed"]).exited(0);
        let debug = ["app.toml", "--set", "env.LEVEL=debug"];
        let plan = scene.run(["plan", "--deployed"].iter().chain(&debug)).exited(2);
        says(
            &plan,
            &["LEVEL", "debug", "apply with: hostctl apply app.toml --set env.LEVEL=debug"],
        );
        let json = scene.run(["plan", "--deployed", "--json"].iter().chain(&debug)).exited(2);
        let difference: Value = serde_json::from_str(&json.out).unwrap();
        let token = difference["token"].as_str().unwrap();
        assert!(plan.out.contains(&format!("--token {token}")), "{}", plan.out);
        let apply = |more: &[&str]| scene.run(["apply"].iter().chain(&debug).chain(more));
        says(&apply(&[]).exited(2), &["--token", "--yes"]);
        says(&apply(&["--token", token, "--wait"]).exited(0), &["version 2 serves"]);
        eventually("it answers", || get(port, "/").as_deref() == Some("debug"));
        says(&apply(&["--token", token]).exited(75), &["has changed", "plan app.toml --deployed"]);
        says(&apply(&["--yes", "--wait"]).exited(0), &["nothing is different"]);
        scene.run(["rollback", "demo", "--wait"]).exited(0);
        eventually("the first answers", || get(port, "/").as_deref() == Some("none"));
        let history = scene.run(["history", "demo"]).exited(0);
        says(&history, &["superseded", "current", "--set env.LEVEL=debug"]);
        let manifest = scene.run(["history", "demo", "2"]).exited(0).out;
        let head = "# deployed with --set env.LEVEL=debug\n";
        let text = std::fs::read_to_string(scene.app().join("app.toml")).unwrap();
        assert_eq!(manifest, format!("{head}{text}"));
        scene.run(["history", "demo", "9"]).exited(2);
        scene.run(["rollback", "demo", "9"]).exited(65);
    });
}

#[test]
fn what_does_not_become_ready_is_told_with_its_reason() {
    alone(|| {
        let scene = Scene::new(As::Root);
        let ports = Ports::hold();
        served(&scene, ports.number(0));
        let _hostd = Hostd::start(&scene);
        scene.run(["deploy", "app.toml", "--wait"]).exited(0);
        let broken = "run=sh -c \"echo no such table; exit 3\"";
        let ran = scene.run(["deploy", "app.toml", "--set", broken, "--wait"]).exited(1);
        says(&ran, &["version 2 was rolled back", "exited with 3", "| no such table"]);
        says(&scene.run(["status", "demo"]), &["failed", "| no such table"]);
        says(&scene.run(["history", "demo"]).exited(0), &["rolled back"]);
        eventually("the first serves", || scene.run(["status", "demo"]).code == 0);
        scene.write("bad.toml", "name = \"bad\"\nrum = 3\n");
        let local = scene.run(["check", "bad.toml"]).exited(65);
        let ran = scene.run(["deploy", "bad.toml"]).exited(65);
        assert_eq!(ran.err, local.err, "hostd's words are those of hostctl itself");
        scene.run(["deploy", "nothing.toml"]).exited(66);
    });
}

#[test]
fn every_look_has_a_document_for_programs() {
    alone(|| {
        let scene = Scene::new(As::Root);
        let ports = Ports::hold();
        served(&scene, ports.number(0));
        let _hostd = Hostd::start(&scene);
        let deployed = scene.run(["deploy", "app.toml", "--wait", "--json"]).exited(0);
        let document = |ran: Ran| -> Value { serde_json::from_str(&ran.out).unwrap() };
        assert_eq!(document(deployed)["version"], 1);
        assert_eq!(document(scene.run(["ps", "--json"]).exited(0))["apps"][0]["app"], "demo");
        let status = document(scene.run(["status", "demo", "--json"]).exited(0));
        let instance = &status["services"][0]["instances"][0];
        assert_eq!(instance["name"], "demo.main.1");
        assert!(instance["started_ms"].as_u64() > Some(1_500_000_000_000), "{instance}");
        let history = document(scene.run(["history", "demo", "--json"]).exited(0));
        assert_eq!(history["versions"][0]["state"], "current");
        let events = scene.run(["events", "demo", "--json"]).exited(0).out;
        let kinds = events.lines().map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            event["kind"].as_str().unwrap().to_owned()
        });
        assert!(kinds.into_iter().any(|kind| kind == "promoted"), "{events}");
    });
}

#[test]
fn a_number_of_instances_is_what_was_asked_for() {
    alone(|| {
        let scene = Scene::new(As::Root);
        let ports = Ports::hold();
        served(&scene, ports.number(0));
        let _hostd = Hostd::start(&scene);
        scene.run(["deploy", "app.toml", "--wait"]).exited(0);
        scene.run(["scale", "demo=3", "--wait"]).exited(0);
        says(&scene.run(["ps"]).exited(0), &["demo.main.1", "demo.main.2", "demo.main.3"]);
        scene.run(["scale", "demo.main=1", "--wait"]).exited(0);
        assert!(!scene.run(["ps"]).exited(0).out.contains("main.2"));
        scene.run(["scale", "demo.web=1"]).exited(65);
        scene.run(["scale", "demo"]).exited(2);
        says(&scene.run(["halt"]).exited(0), &["nothing runs any more"]);
    });
}

#[test]
fn a_wait_goes_on_when_hostd_is_started_anew() {
    alone(|| {
        let scene = Scene::new(As::Root);
        scene.shell_app("while :; do sleep 1; done", "ready = \"3s\"\n");
        let mut hostd = Hostd::start(&scene);
        let mut waiting = scene.start(["deploy", "app.toml", "--wait"]);
        waiting.until_error("main.1 started");
        hostd.restart();
        waiting.wait().exited(0);
        let mut following = scene.start(["deploy", "app.toml", "--set", "env.A=b", "--wait"]);
        following.until_error("main.2 started");
        following.signal("INT");
        says(&following.wait().exited(130), &["what was begun goes on"]);
        eventually("it went on", || scene.run(["status", "demo"]).out.contains("version 2\n"));
    });
}
