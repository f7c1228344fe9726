//! Promise: where a service's policy is a program, its answer is what the kernel goes by, also while
//! hostd is gone; when the program fails, its last answer stands for a while, then the fallback.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::TcpStream;

use serde_json::Value;

use crate::support::hostd::Hostd;
use crate::support::namespace::alone;
use crate::support::{As, Scene, eventually};

/// Says who it is, by its address.
const SERVER: &str = r#"
import os, socket
server = socket.create_server(('0.0.0.0', 8080))
while True:
    client, _ = server.accept()
    client.sendall(os.environ['HOST'].encode())
    client.close()
"#;

/// Gives everything to whom a file beside it names, and ends where there is no such file.
const PLUGIN: &str = r#"#!/bin/sh
while read -r line; do
    echo "$line" >&2
    id=${line#*\"id\":}
    chosen=$(cat chosen) || exit 3
    echo "{\"id\":${id%%,*},\"weights\":{\"$chosen\":1}}"
done
"#;

const MANIFEST: &str = r#"
name = "demo"
run = "python3 main.py"
port = 8080
count = 2
policy = "own"
[policies.own]
run = "./plugin"
deadline = "20s"
"#;

/// What of new connections each backend gets, in percent.
fn shares(hostd: &Hostd<'_>) -> BTreeMap<String, f64> {
    let list = hostd.get("/v1/lb");
    let services = list["services"].as_array().cloned().unwrap_or_default();
    let demo = services.into_iter().find(|one| one["name"] == "demo").unwrap_or_default();
    let backends = demo["backends"].as_array().cloned().unwrap_or_default();
    let share = |one: &Value| (one["id"].as_str().unwrap().to_owned(), one["share"].as_f64());
    let shares = backends.iter().map(share);
    shares.filter_map(|(id, share)| Some((id, share?))).collect()
}

fn is_all(shares: &BTreeMap<String, f64>, id: &str) -> bool {
    let own = shares.iter().filter(|(name, _)| name.starts_with(id));
    own.count() > 0
        && shares
            .iter()
            .all(|(name, share)| *share == if name.starts_with(id) { 100.0 } else { 0.0 })
}

#[track_caller]
fn until_all(hostd: &Hostd<'_>, id: &str) {
    eventually(id, || is_all(&shares(hostd), id));
}

fn warnings(scene: &Scene) -> String {
    scene.run(["events", "--json"]).out
}

#[test]
fn its_answer_is_in_force_and_outlives_hostd_and_then_the_fallback_is() {
    alone(|| {
        let scene = Scene::new(As::Root);
        scene.write("main.py", SERVER);
        scene.script("plugin", PLUGIN);
        let chosen = scene.write("chosen", "demo.main.1");
        let mut hostd = Hostd::start(&scene);
        hostd.deploy_and_wait(MANIFEST);
        until_all(&hostd, "demo.main.1");
        let who = || {
            let mut said = String::new();
            TcpStream::connect("127.0.0.1:8080").unwrap().read_to_string(&mut said).unwrap();
            said
        };
        let first = who();
        assert!((0..20).all(|_| who() == first));
        // What it says is in the app's log, and here that is what it was asked.
        eventually("measurements", || {
            let asked = scene.run(["logs", "demo.policy-own"]).out;
            let told = ["\"connections\":0", "\"cpu\":", "\"memory\":", "\"version\":\"1\""];
            told.iter().all(|part| asked.contains(part))
        });
        // It is asked again without anything new, since it may go by a file.
        std::fs::write(&chosen, "demo.main.2").unwrap();
        until_all(&hostd, "demo.main.2");
        assert!((0..20).all(|_| who() != first));
        // Nobody to ask, and nobody asked yet: what was answered stands.
        hostd.kill();
        assert!((0..20).all(|_| who() != first));
        hostd.begin();
        assert!(is_all(&shares(&hostd), "demo.main.2"), "{:?}", shares(&hostd));
        std::fs::write(&chosen, "demo.main.1").unwrap();
        until_all(&hostd, "demo.main.1");
        // It fails: for a while nobody notices.
        std::fs::remove_file(&chosen).unwrap();
        eventually("a warning", || warnings(&scene).contains("its last answer stands"));
        eventually("the fallback", || shares(&hostd).values().all(|share| *share == 50.0));
        let said = warnings(&scene);
        assert!(said.contains("the plugin of policy own fails: it exited with 3"), "{said}");
        assert!(said.contains("its fallback takes its place"), "{said}");
        std::fs::write(&chosen, "demo.main.2").unwrap();
        until_all(&hostd, "demo.main.2");
        assert!(warnings(&scene).contains("its policy answers again"));
    });
}
