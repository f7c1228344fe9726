//! Promise: a new version takes over without a gap where it can, is rolled back where it fails, and
//! touches nothing that did not change.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::hostd::{Hostd, Journal};
use crate::support::load::Load;
use crate::support::namespace::alone;
use crate::support::ports::get;
use crate::support::{As, Scene, eventually, kill, updates};

/// One service; `rest` are further keys of it.
fn web(words: &str, tag: &str, rest: &str) -> String {
    format!(
        "name = \"web\"\nrun = \"./service web {words}\"\n{rest}\n\
         access.write = [\"journal\"]\nenv = {{ JOURNAL = \"journal\", TAG = \"{tag}\" }}\n"
    )
}

/// The same with a port that is handed over.
fn handed(tag: &str, rest: &str) -> String {
    let port = "ready = \"notify\"\nport = { port = 8080, activate = true }";
    web("socket notify", tag, &format!("{port}\n{rest}"))
}

fn with(act: impl FnOnce(&Scene, &Journal, &mut Hostd<'_>) + Send) {
    alone(|| {
        let scene = Scene::new(As::Root);
        let journal = scene.service();
        act(&scene, &journal, &mut Hostd::start(&scene));
    });
}

fn numbers(hostd: &Hostd<'_>, app: &str) -> Vec<u64> {
    hostd.instances(app).iter().map(|one| one["number"].as_u64().unwrap()).collect()
}

/// Instances' ports by number.
fn ports(hostd: &Hostd<'_>, app: &str) -> Vec<(u64, u16)> {
    let port = |one: &Value| one["ports"][0]["port"].as_u64().unwrap() as u16;
    hostd.instances(app).iter().map(|one| (one["number"].as_u64().unwrap(), port(one))).collect()
}

#[test]
fn what_did_not_change_goes_on_and_the_rest_follows_its_needs() {
    with(|_, journal, hostd| {
        let service = |name: &str, tag: &str, needs: &str| {
            format!(
                "[services.{name}]\nrun = \"./service {name} notify\"\nready = \"notify\"\n\
                 needs = [{needs}]\naccess.write = [\"journal\"]\n\
                 env = {{ JOURNAL = \"journal\", TAG = \"{tag}\" }}\n"
            )
        };
        let app = |tag: &str| {
            let changed = service("front", tag, "\"db\"") + &service("db", tag, "\"store\"");
            format!("name = \"shop\"\n{changed}{}", service("store", "same", ""))
        };
        hostd.deploy_and_wait(&app("v1"));
        let store = hostd.pid_of("shop.store.1");
        let old = journal.last("front", "start");
        hostd.deploy_and_wait(&app("v2"));
        assert_eq!(hostd.pid_of("shop.store.1"), store);
        assert_eq!(hostd.instance("shop.store.1")["version"], 2, "it belongs to the new one");
        assert_eq!(journal.count("store", "start"), 1);
        for service in ["front", "db"] {
            assert_eq!(journal.count(service, "start"), 2, "{service}");
            assert!(journal.last(service, "ready") < journal.last(service, "end"), "{service}");
        }
        assert!(old < journal.last("db", "ready"));
        assert!(journal.last("db", "ready") < journal.last("front", "start"));
        let again = hostd.post("/v1/deploy", &hostd.deployment(&app("v2"))).done();
        assert_eq!((&again["version"], &again["unchanged"]), (&json!(2), &json!(true)));
    });
}

fn update_under_load(count: u32) {
    with(|_, journal, hostd| {
        let manifest = |tag: &str| handed(tag, &format!("count = {count}"));
        updates::under_load(hostd, journal, manifest, |one| one["state"] == "stopping");
    });
}

#[test]
fn twenty_updates_under_load_fail_no_request() {
    update_under_load(1);
}

#[test]
fn twenty_updates_of_three_instances_under_load_fail_no_request() {
    update_under_load(3);
}

#[test]
fn a_version_that_fails_is_rolled_back_and_the_old_one_never_stopped() {
    with(|_, journal, hostd| {
        hostd.deploy_and_wait(&handed("v1", ""));
        let pid = hostd.pid_of("web.main.1");
        let failing = handed("v2", "").replace("./service web socket notify", "sh -c 'exit 7'");
        let late = handed("v3", "")
            .replace("socket notify", "socket notify wait")
            .replace("\"notify\"", "{ by = \"notify\", within = \"1s\" }");
        for (text, why) in [(failing, "exited with 7"), (late, "not ready within 1 s")] {
            let load = Load::start(8080);
            let version = hostd.deploy(&text);
            hostd.api().follow("app=web&since=0").until("rolled-back", why);
            let status = hostd.settled("web");
            assert_eq!(load.end().failed, [""; 0]);
            assert_eq!((&status["version"], hostd.pid_of("web.main.1")), (&json!(1), pid));
            assert_eq!(status["last_failure"]["version"], version);
            let reason = status["last_failure"]["reason"].as_str().unwrap();
            assert!(reason.starts_with("main.2: ") && reason.contains(why), "{reason}");
            let newest = hostd.get("/v1/apps/web/history")["versions"][0].clone();
            assert_eq!(newest["state"], "rolled-back", "{newest}");
            assert!(newest["reason"].as_str().unwrap().contains(why), "{newest}");
        }
        assert_eq!(get(8080, "/").unwrap().trim(), "web v1");
        assert_eq!(journal.lines("web").iter().filter(|(_, tag, _)| tag == "v1").count(), 2);
        hostd.deploy_and_wait(&handed("v4", ""));
        assert_eq!(hostd.status("web")["last_failure"], Value::Null, "forgotten with the next");
    });
}

#[test]
fn where_a_port_is_the_programs_own_the_old_version_comes_back() {
    with(|_, journal, hostd| {
        let good = |tag: &str| web("port alone", tag, "port = 8080\naccess.address = \"host\"");
        hostd.deploy_and_wait(&good("v1"));
        let changed = hostd.post("/v1/plan", &hostd.deployment(&good("v2"))).done();
        let change = &changed["changes"][0];
        assert_eq!(change["effect"], "replace", "{changed}");
        assert!(change["why"].as_str().unwrap().contains("port 8080 is bound by the program"));
        hostd.deploy_and_wait(&good("v2"));
        assert_eq!(get(8080, "/").unwrap().trim(), "web v2");
        hostd.deploy(&good("v3").replace("./service web port alone", "sh -c 'exit 7'"));
        hostd.api().follow("app=web&since=0").until("rolled-back", "exited with 7");
        let status = hostd.settled("web");
        assert_eq!(
            (&status["version"], &status["last_failure"]["version"]),
            (&json!(2), &json!(3))
        );
        assert_eq!(get(8080, "/").unwrap().trim(), "web v2");
        assert_eq!(journal.count("web", "double"), 0);
    });
}

#[test]
fn a_first_version_that_fails_is_tried_again_and_says_why() {
    with(|_, _, hostd| {
        hostd.deploy(
            &web("", "v1", "").replace("./service web ", "sh -c 'echo no such table; exit 7'"),
        );
        eventually("it was tried three times", || {
            hostd.instances("web").first().is_some_and(|one| one["restarts"].as_u64() > Some(1))
        });
        let status = hostd.status("web");
        assert_eq!((&status["version"], &status["rollout"]["to"]), (&Value::Null, &json!(1)));
        let instance = hostd.until("web.main.1", "backing-off");
        assert!(instance["reason"].as_str().unwrap().contains("exited with 7"), "{instance}");
        assert_eq!(instance["last_lines"], json!(["no such table"]));
        assert!(instance["next_try_ms"].is_u64(), "{instance}");
        hostd.deploy_and_wait(&web("notify", "v2", "ready = \"notify\""));
        assert_eq!(hostd.status("web")["version"], 2);
    });
}

#[test]
fn a_rollback_is_to_the_exact_manifest_and_parameters() {
    with(|_, journal, hostd| {
        let text = "name = \"web\"\nrun = \"./service web notify\"\nready = \"notify\"\n\
                    access.write = [\"journal\"]\n[env]\nJOURNAL = \"journal\"\nTAG = \"plain\"\n\
                    [profile.loud.env]\nTAG = \"loud\"\n";
        let mut first = hostd.deployment(text);
        first["overrides"] = json!({ "profile": "loud", "set": ["env.MORE=first"] });
        hostd.post("/v1/deploy", &first).done();
        hostd.settled("web");
        let mut second = hostd.deployment(&web("notify", "second", "ready = \"notify\""));
        second["overrides"] = json!({ "set": ["env.MORE=1"] });
        hostd.post("/v1/deploy", &second).done();
        hostd.settled("web");
        let back = hostd.post("/v1/apps/web/rollback", &json!({})).done();
        assert_eq!(back["version"], 3);
        hostd.settled("web");
        let history = hostd.get("/v1/apps/web/history")["versions"].clone();
        let same = ["manifest_text", "manifest_name", "folder", "overrides"];
        for key in same {
            assert_eq!(history[0][key], history[2][key], "{key}");
        }
        assert_eq!(history[0]["overrides"], first["overrides"]);
        assert_eq!(history[0]["reason"], "version 1 again");
        let tags: Vec<String> = journal
            .lines("web")
            .into_iter()
            .filter(|(what, ..)| what == "start")
            .map(|(_, tag, _)| tag)
            .collect();
        assert_eq!(tags, ["loud", "second", "loud"]);
        hostd.post("/v1/apps/web/rollback", &json!({ "version": 2 })).done();
        hostd.settled("web");
        let states: Vec<Value> = hostd.get("/v1/apps/web/history")["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["state"].clone())
            .collect();
        assert_eq!(states, ["current", "superseded", "superseded", "superseded"]);
        let said = hostd.post("/v1/apps/web/rollback", &json!({ "version": 9 })).refused(404);
        assert!(said.contains("web has no version 9\nits versions are 1, 2, 3, 4"), "{said}");
    });
}

#[test]
fn instances_come_and_go_by_number_and_keep_their_ports() {
    with(|scene, _, hostd| {
        std::fs::write(scene.config().join("policy.toml"), "[ports]\nrange = \"21000-21007\"\n")
            .unwrap();
        hostd.deploy_and_wait(&web(
            "port",
            "v1",
            "port = 8080\ncount = 2\naccess.address = \"host\"",
        ));
        let scale = |count: u32| json!({ "service": "main", "count": count });
        hostd.post("/v1/apps/web/scale", &scale(4)).done();
        hostd.settled("web");
        let four = ports(hostd, "web");
        let own: BTreeSet<u16> = four.iter().map(|(_, port)| *port).collect();
        assert_eq!(four.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(
            own.len() == 4 && own.iter().all(|port| (21_000..=21_007).contains(port)),
            "{own:?}"
        );
        for port in &own {
            assert_eq!(get(*port, "/").unwrap().trim(), "web v1");
        }
        let first = hostd.pid_of("web.main.1");
        hostd.post("/v1/apps/web/scale", &scale(2)).done();
        hostd.settled("web");
        assert_eq!(numbers(hostd, "web"), [1, 2], "the highest numbers go");
        assert_eq!(hostd.pid_of("web.main.1"), first);
        hostd.post("/v1/apps/web/scale", &scale(4)).done();
        hostd.settled("web");
        assert_eq!(ports(hostd, "web"), four, "they get the ports they had");
        kill("KILL", hostd.pid_of("web.main.3") as i32);
        eventually("the third one starts again", || hostd.instance("web.main.3")["restarts"] == 1);
        hostd.settled("web");
        hostd.restart();
        hostd.post("/v1/apps/web/stop", &Value::Null).done();
        hostd.settled("web");
        hostd.post("/v1/apps/web/start", &Value::Null).done();
        hostd.settled("web");
        assert_eq!(ports(hostd, "web"), four, "after all that");
        for port in &own {
            assert_eq!(get(*port, "/").unwrap().trim(), "web v1");
        }
        let said = hostd.post("/v1/apps/web/scale", &json!({ "service": "db", "count": 1 }));
        assert!(said.refused(404).contains("web has no service \"db\"\nits services are main"));
    });
}

#[test]
fn a_deploy_during_a_rollout_takes_its_place() {
    with(|_, journal, hostd| {
        hostd.deploy_and_wait(&handed("v1", ""));
        let load = Load::start(8080);
        hostd.deploy(&handed("v2", "").replace("socket notify", "socket notify wait"));
        eventually("the second one starts", || journal.count("web", "start") == 2);
        let status = hostd.status("web");
        assert_eq!((&status["rollout"]["from"], &status["rollout"]["to"]), (&json!(1), &json!(2)));
        hostd.deploy_and_wait(&handed("v3", ""));
        let outcome = load.end();
        assert_eq!(outcome.failed, [""; 0]);
        assert!(!outcome.bodies.contains("web v2"), "{outcome:?}");
        let states: Vec<Value> = hostd.get("/v1/apps/web/history")["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["state"].clone())
            .collect();
        assert_eq!(states, ["current", "rolled-back", "superseded"]);
        // What never served is nothing to go back to.
        hostd.post("/v1/apps/web/rollback", &json!({})).done();
        hostd.settled("web");
        assert_eq!(get(8080, "/").unwrap().trim(), "web v1");
    });
}

#[test]
fn a_plan_is_applied_only_while_the_world_is_as_it_was() {
    with(|_, _, hostd| {
        let plan = |tag: &str| {
            let plan = hostd.post("/v1/plan", &hostd.deployment(&handed(tag, ""))).done();
            let mut request = hostd.deployment(&handed(tag, ""));
            request["token"] = plan["token"].clone();
            (plan, request)
        };
        let (new, request) = plan("v1");
        assert_eq!((&new["changes"][0]["kind"], &new["version"]), (&json!("new"), &Value::Null));
        hostd.post("/v1/deploy", &request).done();
        hostd.settled("web");
        let (none, request) = plan("v1");
        assert_eq!(none["changes"], json!([]));
        hostd.post("/v1/deploy", &request).done();
        let (changed, request) = plan("v2");
        let change = &changed["changes"][0];
        let values = (&change["key"], &change["old"], &change["new"], &change["effect"]);
        assert_eq!(values, (&json!("env TAG"), &json!("v1"), &json!("v2"), &json!("beside")));
        assert_eq!(changed["changes"].as_array().unwrap().len(), 1, "{changed}");
        hostd.post("/v1/apps/web/scale", &json!({ "service": "main", "count": 2 })).done();
        let said = hostd.post("/v1/deploy", &request).refused(412);
        assert!(said.contains("web has changed since this plan was made"), "{said}");
        hostd.settled("web");
        let (_, mut request) = plan("v2");
        request["manifest"]["text"] = json!(handed("v3", ""));
        hostd.post("/v1/deploy", &request).refused(412);
        hostd.post("/v1/deploy", &plan("v2").1).done();
        let status = hostd.settled("web");
        assert_eq!((&status["version"], hostd.instances("web").len()), (&json!(2), 2));
    });
}

#[test]
fn a_removed_app_leaves_its_data_unless_it_is_to_go_too() {
    with(|scene, journal, hostd| {
        let text = web("notify", "v1", "ready = \"notify\"")
            .replace("[\"journal\"]", "[\"journal\", \"data:/srv/web\"]");
        let gone = |data: bool| {
            let api = hostd.api();
            api.ask("DELETE", "/v1/apps/web", &json!({ "data": data })).done();
            eventually("it is gone", || api.ask("GET", "/v1/apps/web", &Value::Null).status == 404);
        };
        let data = scene.state().join("data/web");
        hostd.deploy_and_wait(&text);
        let kept = std::fs::read_dir(&data).unwrap().next().unwrap().unwrap().path().join("kept");
        std::fs::write(&kept, "here").unwrap();
        gone(false);
        assert_eq!(journal.count("web", "end"), 1, "it was told to end first");
        assert!(kept.exists());
        assert!(hostd.keepers().is_empty());
        let folders = std::fs::read_dir(scene.outside().join("run/instances")).unwrap().count();
        assert_eq!(folders, 0, "nothing is left of its instances");
        assert_eq!(hostd.deploy_and_wait(&text), 1, "its versions are forgotten");
        assert!(kept.exists());
        gone(true);
        assert!(!data.exists());
        let said = hostd.post("/v1/apps/web/start", &Value::Null).refused(404);
        assert!(said.contains("no app \"web\" is deployed\nnothing is deployed"), "{said}");
    });
}
