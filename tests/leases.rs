//! Promise: what an app has for itself nobody else gets, whoever is in the way is named, and a
//! lease ends with its holder, whatever ends that.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use crate::support::ports::{Ports, get};
use crate::support::{As, EVERYONE, Ran, Running, Scene, eventually};

const SERVER: &str = "python3 -m http.server $PORT --bind 127.0.0.1";

fn server(who: As, port: u16) -> Scene {
    let scene = Scene::new(who);
    let manifest = format!("name = \"shop\"\nrun = \"{SERVER}\"\nport = {port}\n");
    scene.write("app.toml", &manifest);
    scene
}

fn answers(port: u16) {
    eventually("the server answers", || get(port, "/").is_some());
}

fn stop(running: Running) -> Ran {
    running.signal("TERM");
    running.wait()
}

fn nothing_is_held(scene: &Scene) {
    assert_eq!(scene.run(["lease", "ls", "--all"]).exited(0).out, "");
}

#[test]
fn a_second_copy_is_refused_and_told_where_there_is_room() {
    for who in EVERYONE {
        let ports = Ports::hold();
        let port = ports.number(0);
        let scene = server(who, port);
        let first = scene.start(["run", "app.toml"]);
        answers(port);
        let refused = scene.run(["run", "app.toml"]).exited(75);
        let held = format!("port {port}/tcp is held by shop.main.1 (pid {}, since ", first.pid());
        assert!(refused.err.contains(&held), "{who:?}: {}", refused.err);
        let hint = "hint: the next free offset is 1: add --port-offset 1";
        assert!(refused.err.contains(hint), "{who:?}: {}", refused.err);
        assert!(get(port, "/").is_some(), "the first goes on");
        stop(first);
        nothing_is_held(&scene);
    }
}

#[test]
fn one_directory_has_one_writer() {
    let scene = Scene::new(As::Root);
    scene.shell_app("echo up; sleep 60", "access = { write = [\"data:/srv/x\"] }\n");
    let mut first = scene.start(["run", "app.toml"]);
    first.until_output("up");
    let refused = scene.run(["run", "app.toml"]).exited(75);
    assert!(refused.err.contains("data/demo/srv-x is held by demo.main.1"), "{}", refused.err);
    stop(first);
    nothing_is_held(&scene);
}

#[test]
fn without_port_or_directory_copies_run_side_by_side() {
    let scene = Scene::new(As::Root);
    scene.shell_app("echo up; sleep 60", "");
    let mut first = scene.start(["run", "app.toml"]);
    first.until_output("up");
    let mut second = scene.start(["run", "app.toml"]);
    second.until_output("up");
    assert!(!scene.outside().join("run/leases.db").exists(), "nothing to lease, nothing opened");
}

#[test]
fn a_process_that_is_not_ours_is_named() {
    for who in EVERYONE {
        let ports = Ports::hold();
        let port = ports.number(0);
        let scene = server(who, port);
        let mut foreign = Foreign::start(&scene, port);
        answers(port);
        let refused = scene.run(["run", "app.toml"]).exited(75);
        let pid = foreign.0.id();
        let said = refused.err.lines().next().unwrap().to_owned();
        assert!(
            said.contains(&format!("port {port}/tcp is in use by python3 (pid {pid}, u")),
            "{said}"
        );
        assert!(said.ends_with("), which hostctl did not start"), "{said}");
        foreign.end();
        // Its closed connections stay for a minute; they are in nobody's way.
        let own = scene.start(["run", "app.toml"]);
        answers(port);
        stop(own);
    }
}

struct Foreign(Child);

impl Foreign {
    fn start(scene: &Scene, port: u16) -> Foreign {
        let mut command = scene.command("python3".as_ref());
        command.args(["-m", "http.server", &port.to_string(), "--bind", "127.0.0.1"]);
        Foreign(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn after_a_kill_the_next_start_finds_everything_free() {
    for who in EVERYONE {
        let ports = Ports::hold();
        let port = ports.number(0);
        let scene = server(who, port);
        for _ in 0..3 {
            let running = scene.start(["run", "app.toml"]);
            answers(port);
            running.signal("KILL");
            running.wait().exited(137);
        }
        let last = scene.start(["run", "app.toml"]);
        answers(port);
        stop(last);
        let shown = scene.run(["lease", "show", &format!("port:{port}/tcp")]).exited(0).out;
        for part in ["is free", "holder died", "nothing of it is left", "found unused", "released"]
        {
            assert!(shown.contains(part), "{who:?}: {part}: {shown}");
        }
        nothing_is_held(&scene);
    }
}

#[test]
fn forty_copies_at_once_find_a_place_each() {
    let scene = server(As::Root, 31_000);
    let start = |_| scene.start(["run", "app.toml", "--port-offset", "auto"]);
    let mut copies: Vec<_> = (0..40).map(start).collect();
    let mut found = BTreeSet::new();
    for copy in &mut copies {
        let line = line_of(copy, "starting on 127.0.0.1:");
        let port: u16 = line.rsplit(':').next().unwrap().trim().parse().unwrap();
        assert!(found.insert(port), "{port} twice");
    }
    found.iter().for_each(|port| answers(*port));
    let listed = scene.run(["lease", "ls"]).exited(0).out;
    assert_eq!(listed.lines().filter(|line| line.contains("port:")).count(), 40, "{listed}");
    copies.iter().for_each(|copy| copy.signal("TERM"));
    copies.into_iter().for_each(|copy| drop(copy.wait()));
    nothing_is_held(&scene);
    assert!(found.iter().all(|port| get(*port, "/").is_none()));
}

/// The line of standard error that holds this.
fn line_of(running: &mut Running, part: &str) -> String {
    use std::io::Read;
    let mut said = Vec::new();
    let mut byte = [0];
    let stream = running.child().stderr.as_mut().unwrap();
    loop {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
        let text = String::from_utf8_lossy(&said);
        if byte[0] == b'\n' && text.contains(part) {
            return text.lines().last().unwrap().to_owned();
        }
    }
}

#[test]
fn a_broken_ledger_stops_every_start() {
    let ports = Ports::hold();
    let scene = server(As::Root, ports.number(0));
    scene.run(["run", "app.toml", "--set", "run=true"]).exited(0);
    let ledger = scene.outside().join("run/leases.db");
    let whole = std::fs::read(&ledger).unwrap();
    let torn = whole[..whole.len() / 2].to_vec();
    let mut strange = whole.clone();
    strange[60..64].copy_from_slice(&7_u32.to_be_bytes()); // the format's number
    for broken in [b"garbage, and enough of it to be read".repeat(50), torn, strange] {
        std::fs::write(&ledger, &broken).unwrap();
        let refused = scene.run(["run", "app.toml", "--set", "run=echo started"]).exited(69);
        assert!(refused.err.contains("leases.db can't be read as a ledger"), "{}", refused.err);
        assert!(refused.err.contains("hint: when no hostctl is running, `rm /"), "{}", refused.err);
        assert_eq!(refused.out, "");
    }
    std::fs::remove_file(&ledger).unwrap();
    scene.run(["run", "app.toml", "--set", "run=true"]).exited(0);
}

#[test]
fn a_lease_of_the_living_is_taken_by_force_only() {
    let ports = Ports::hold();
    let port = ports.number(0);
    let scene = server(As::Root, port);
    let running = scene.start(["run", "app.toml"]);
    answers(port);
    let name = "name:shop.main.1";
    scene.run(["lease", "release", name]).exited(75);
    scene.run(["lease", "release", name, "--force"]).exited(0);
    let shown = scene.run(["lease", "show", name]).exited(0).out;
    assert!(shown.contains("taken away by uid 0"), "{shown}");
    // The port is not free only because somebody says so.
    scene.run(["lease", "release", &format!("port:{port}/tcp"), "--force"]).exited(0);
    let refused = scene.run(["run", "app.toml"]).exited(75);
    assert!(refused.err.contains("still in use since shop.main.1 ended"), "{}", refused.err);
    stop(running);
    scene.run(["run", "app.toml", "--set", "run=true"]).exited(0);
    nothing_is_held(&scene);
}
