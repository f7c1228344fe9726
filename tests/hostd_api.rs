//! Promise: hostd's API is what `manifest-spec/api/openapi.json` says: every answer has the form
//! that is written there, and events come in order, the past first and then as they happen.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::hostd::Hostd;
use crate::support::namespace::alone;
use crate::support::schema::Description;
use crate::support::{As, Scene, eventually, kill};

fn manifest(tag: &str) -> String {
    format!(
        "name = \"shop\"\n[services.db]\nrun = \"./service db notify\"\nready = \"notify\"\n\
         access.write = [\"journal\"]\nenv = {{ JOURNAL = \"journal\", TAG = \"{tag}\" }}\n\
         [services.web]\nrun = \"./service web\"\nready = \"20ms\"\nneeds = [\"db\"]\ncount = 2\n\
         access.write = [\"journal\"]\nenv = {{ JOURNAL = \"journal\" }}\n"
    )
}

/// A hostd whose answers are held against the description.
struct Held<'a> {
    hostd: &'a Hostd<'a>,
    description: Description,
    seen: BTreeSet<(String, u16)>,
}

impl Held<'_> {
    #[track_caller]
    fn ask(&mut self, operation: &str, app: &str, body: Value) -> Value {
        let (method, path) = self.description.place(operation);
        let path = path.replace("{app}", app);
        let answer = self.hostd.api().ask(&method, &path, &body);
        let kind = if ["events", "logs"].contains(&operation) && answer.status == 200 {
            "application/x-ndjson"
        } else {
            "application/json"
        };
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains(&format!("content-type: {kind}")), "{operation}: {head}");
        if !body.is_null() && answer.status == 200 {
            self.description.holds_request(operation, &body);
        }
        for line in answer.body.lines() {
            let value = serde_json::from_str(line).unwrap();
            self.description.holds_answer(operation, answer.status, &value);
        }
        self.seen.insert((operation.to_owned(), answer.status));
        serde_json::from_str(answer.body.lines().next().unwrap_or("null")).unwrap()
    }

    /// What is no JSON.
    fn numbers(&mut self) {
        let answer = self.hostd.api().ask("GET", "/v1/metrics", &Value::Null);
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert!(answer.body.contains("# TYPE hostctl_lb_backend_weight gauge"), "{}", answer.body);
        self.seen.insert(("metrics".to_owned(), answer.status));
    }
}

#[test]
fn every_answer_has_the_form_that_is_described() {
    alone(|| {
        let scene = Scene::new(As::Root);
        scene.service();
        let hostd = Hostd::start(&scene);
        let mut held =
            Held { hostd: &hostd, description: Description::read(), seen: BTreeSet::new() };
        held.ask("apps", "", Value::Null);
        held.ask("plan", "", hostd.deployment(&manifest("v1")));
        held.ask("deploy", "", hostd.deployment(&manifest("v1")));
        // While it is on its way, and when it is there.
        for operation in ["app", "apps", "history", "host", "events"] {
            held.ask(operation, "shop", Value::Null);
        }
        hostd.settled("shop");
        let mut set = hostd.deployment(&manifest("v2"));
        set["overrides"] = json!({ "set": ["env.MORE=1"], "port_offset": "auto" });
        set["overrides"]["variables"] = json!([["HOSTCTL_SET_services__db__env__A", "1"]]);
        held.ask("plan", "", hostd.deployment(&manifest("v2")));
        held.ask("deploy", "", hostd.deployment(&manifest("v1")));
        held.ask("deploy", "", hostd.deployment(&manifest("v2")));
        hostd.settled("shop");
        held.ask("rollback", "shop", json!({}));
        hostd.settled("shop");
        held.ask("scale", "shop", json!({ "service": "web", "count": 3 }));
        held.ask("restart", "shop", json!({ "service": "db" }));
        hostd.settled("shop");
        // One that fails has more to show.
        let failing = manifest("v3").replace("./service db notify", "sh -c 'echo no; exit 7'");
        held.ask("deploy", "", hostd.deployment(&failing));
        eventually("it is rolled back", || !hostd.status("shop")["last_failure"].is_null());
        kill(
            "KILL",
            hostd.settled("shop")["services"][0]["instances"][0]["pid"].as_i64().unwrap() as i32,
        );
        for operation in ["app", "apps", "history", "events"] {
            held.ask(operation, "shop", Value::Null);
        }
        held.ask("stop", "shop", Value::Null);
        held.ask("start", "shop", json!({}));
        let again = held.ask("start", "shop", json!({}));
        assert_eq!(again["unchanged"], true, "{again}");
        hostd.settled("shop");
        held.ask("audit", "", Value::Null);
        // Records of every shape, and where they go.
        let mut written = scene.written("shop", "web", 9, 3);
        written.record(1, json!({ "body": "x", "trace_id": "0af7651916cd43dd8448eb211c80319c" }));
        written.record(2, json!({ "attributes": {}, "span_id": "b7ad6b7169203331" }));
        held.ask("logs", "", Value::Null);
        let entry = json!({ "to": "loki+http://127.0.0.1:9", "labels": { "a": "b" } });
        held.ask("add_sink", "shop", entry.clone());
        held.ask("sinks", "", Value::Null);
        held.ask("test_sinks", "shop", json!({ "sink": { "to": "syslog:udp://127.0.0.1:9" } }));
        held.ask("remove_sink", "shop", json!({ "to": "loki+http://127.0.0.1:9" }));
        held.ask("remove_sink", "shop", json!({ "to": "loki+http://127.0.0.1:9" }));
        held.ask("add_sink", "shop", json!({ "to": "loki" }));
        // The balancer.
        let legacy = "legacy";
        let backend = "192.0.2.7:9";
        let add = json!({ "name": legacy, "address": backend, "weight": 7, "listen": ["6599"] });
        held.ask("lb_add", "", add);
        held.ask("lb_weight", "", json!({ "name": legacy, "backend": backend, "weight": 8 }));
        held.ask("lb_drain", "", json!({ "name": legacy, "backend": backend }));
        let canary = json!({ "name": legacy, "policy": "canary", "version": "2", "share": 10 });
        held.ask("lb_policy", "", canary);
        held.ask("lb", "", Value::Null);
        held.numbers();
        held.ask("lb_remove", "", json!({ "name": legacy, "backend": backend }));
        held.ask("lb_remove", "", json!({ "name": legacy }));
        held.ask("lb_weight", "", json!({ "name": legacy, "backend": backend, "weight": 8 }));
        // And what is refused.
        for operation in ["app", "stop", "start", "restart", "history", "rollback", "remove"] {
            held.ask(operation, "nobody", Value::Null);
        }
        held.ask("scale", "shop", json!({ "service": "nobody", "count": 1 }));
        held.ask("deploy", "", hostd.deployment("name = \"shop\"\nrum = \"x\"\n"));
        held.ask("deploy", "", Value::Null);
        held.ask("plan", "", hostd.deployment("name = 7\nport = \"x\"\n"));
        held.ask("exec", "shop", json!({ "command": ["true"] }));
        held.ask("remove", "shop", json!({ "data": true }));
        held.ask("halt", "", Value::Null);
        let answered: BTreeSet<String> = held
            .seen
            .iter()
            .filter(|(_, status)| *status == 200)
            .map(|(one, _)| one.clone())
            .collect();
        let mut wanted = held.description.operations();
        // It answers with a connection of another kind.
        wanted.remove("exec");
        assert_eq!(answered, wanted, "every operation was answered once");
    });
}

#[test]
fn events_are_told_in_order_the_past_first_and_then_as_they_happen() {
    let scene = Scene::new(As::Root);
    scene.service();
    let mut hostd = Hostd::start(&scene);
    let mut early = hostd.api().follow("since=0");
    hostd.deploy_and_wait(&manifest("v1"));
    let before = early.until("promoted", "version 1 serves");
    let mut late = hostd.api().follow("since=0");
    let answer = hostd.post("/v1/apps/shop/stop", &Value::Null).done();
    let mut from = hostd.api().follow(&format!("app=shop&since={}", answer["seq"]));
    hostd.settled("shop");
    // Whoever comes late is told the same.
    let all: Vec<Value> =
        late.by_ref().take_while(|one| one["text"] != "stopping: the app is stopped").collect();
    let numbers: Vec<u64> = all.iter().map(|one| one["seq"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "{numbers:?}");
    assert!(all.contains(&before));
    let place = |kind: &str, text: &str| {
        let found = all
            .iter()
            .position(|one| one["kind"] == kind && one["text"].as_str().unwrap().contains(text));
        found.unwrap_or_else(|| panic!("no {kind} {text} in {all:#?}"))
    };
    let started = |service: &str| {
        let found =
            all.iter().position(|one| one["kind"] == "started" && one["service"] == service);
        found.unwrap()
    };
    assert!(place("deployed", "version 1") < started("db"));
    assert!(started("db") < started("web"));
    assert!(started("web") < place("promoted", "version 1"));
    let first = from.next().unwrap();
    assert!(first["seq"].as_u64() >= answer["seq"].as_u64(), "{first}");
    let from: Vec<Value> =
        from.take_while(|one| !(one["kind"] == "stopped" && one["service"] == "db")).collect();
    assert!(from.iter().all(|one| one["app"] == "shop"), "{from:?}");
    // The next hostd goes on with higher numbers, and whoever followed this one hears its end.
    let last = hostd.get("/v1/host")["seq"].as_u64().unwrap();
    hostd.restart();
    assert!(early.all(|one| one["seq"].as_u64().unwrap() <= last));
    hostd.post("/v1/apps/shop/start", &Value::Null).done();
    let next = hostd.api().follow("since=0").until("started", "");
    assert!(next["seq"].as_u64().unwrap() > last);
    hostd.settled("shop");
}

#[test]
fn who_follows_one_app_hears_of_no_other() {
    let scene = Scene::new(As::Root);
    scene.service();
    let hostd = Hostd::start(&scene);
    let mut following = hostd.api().follow("app=shop&since=0");
    let other = "name = \"other\"\nrun = \"./service other notify\"\nready = \"notify\"\n\
        access.write = [\"journal\"]\nenv = { JOURNAL = \"journal\" }\n";
    hostd.deploy_and_wait(other);
    hostd.deploy_and_wait(&manifest("v1"));
    let heard: Vec<Value> =
        following.by_ref().take_while(|one| one["kind"] != "promoted").collect();
    assert!(heard.iter().all(|one| one["app"] == "shop"), "{heard:?}");
}
