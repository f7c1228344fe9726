//! Promise: whoever asks hostd is who the kernel says, and may what the host policy says: nothing
//! without a word of it, then exactly that; and nothing that a client sends ends hostd.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::api::{Answer, Api};
use crate::support::hostd::Hostd;
use crate::support::ports::Ports;
use crate::support::{As, Scene, USER, eventually};

/// A group that the user is put into.
const GROUP: u32 = 54_399;

fn manifest(name: &str, rest: &str) -> String {
    format!(
        "name = \"{name}\"\nrun = \"./service {name}\"\nready = \"50ms\"\n{rest}\n[env]\nJOURNAL = \"journal\"\n"
    )
}

const WRITES: &str = "access.write = [\"journal\"]";

/// hostd with two apps of root's, `shop` and `bank`, and a client who is an ordinary user.
fn with(act: impl FnOnce(&Scene, &mut Hostd<'_>, &Api)) {
    let scene = Scene::new(As::Root);
    scene.service();
    let mut hostd = Hostd::start(&scene);
    hostd.deploy_and_wait(&manifest("shop", WRITES));
    hostd.deploy_and_wait(&manifest("bank", WRITES));
    let user = Api { user: Some((USER, USER, Vec::new())), ..hostd.api() };
    act(&scene, &mut hostd, &user);
}

fn policy(scene: &Scene, text: &str) {
    fs::write(scene.config().join("policy.toml"), text).unwrap();
}

/// Every operation on an app, by what the policy calls it. What is done changes nothing for long.
fn operations(hostd: &Hostd<'_>, app: &str) -> Vec<(&'static str, &'static str, String, Value)> {
    let path = |verb: &str| format!("/v1/apps/{app}{verb}");
    let scale = json!({ "service": "main", "count": 1 });
    let plan = hostd.deployment(&manifest(app, WRITES));
    vec![
        ("look", "GET", path(""), Value::Null),
        ("look", "GET", format!("/v1/events?app={app}"), Value::Null),
        ("deploy", "POST", "/v1/plan".into(), plan.clone()),
        ("control", "POST", path("/stop"), Value::Null),
        ("control", "POST", path("/start"), Value::Null),
        ("control", "POST", path("/restart"), Value::Null),
        ("control", "POST", path("/scale"), scale),
        ("deploy", "GET", path("/history"), Value::Null),
        ("deploy", "GET", format!("/v1/logs?app={app}"), Value::Null),
        ("deploy", "GET", format!("/v1/sinks?app={app}"), Value::Null),
        ("deploy", "POST", path("/sinks"), json!({ "to": "http://127.0.0.1:9/" })),
        ("deploy", "POST", path("/sinks/test"), json!({ "sink": { "to": "http://127.0.0.1:9/" } })),
        ("deploy", "DELETE", path("/sinks"), json!({ "to": "http://127.0.0.1:9/" })),
        ("deploy", "POST", "/v1/deploy".into(), plan),
        ("deploy", "POST", path("/rollback"), json!({ "version": 1 })),
        ("exec", "POST", path("/exec"), json!({ "command": ["true"] })),
    ]
}

/// An exec needs a connection of its own kind; everything else is asked plainly.
fn ask(api: &Api, method: &str, path: &str, body: &Value) -> Answer {
    if !path.ends_with("/exec") {
        return api.ask(method, path, body);
    }
    let upgrade = "Connection: upgrade, close\r\nUpgrade: hostctl-exec/1";
    api.ask_with(method, path, body, upgrade)
}

#[test]
fn without_a_policy_an_ordinary_user_may_nothing() {
    with(|_, hostd, user| {
        let shop = hostd.pid_of("shop.main.1");
        for (verb, method, path, body) in operations(hostd, "shop") {
            let said = ask(user, method, &path, &body).refused(403);
            let name = format!("uid {USER} may not {verb} shop: the host policy does not say so");
            assert!(said.starts_with(&name), "{method} {path}: {said}");
            let hint = format!("[[users]] uid = {USER}, apps = [\"shop\"], may = [\"{verb}\"]");
            assert!(said.contains(&hint), "{said}");
        }
        for (method, path) in [
            ("GET", "/v1/audit"),
            ("POST", "/v1/halt"),
            ("GET", "/v1/events"),
            ("GET", "/v1/logs"),
            ("GET", "/v1/sinks"),
        ] {
            let said = user.ask(method, path, &Value::Null).refused(403);
            assert!(said.contains("only root may"), "{said}");
        }
        user.ask("DELETE", "/v1/apps/shop", &Value::Null).refused(403);
        assert_eq!(user.ask("GET", "/v1/apps", &Value::Null).done()["apps"], json!([]));
        // That there is such an app is not told either.
        let known = user.ask("GET", "/v1/apps/shop", &Value::Null).refused(403);
        let unknown = user.ask("GET", "/v1/apps/other", &Value::Null).refused(403);
        assert_eq!(known.replace("shop", "other"), unknown);
        hostd.settled("shop");
        assert_eq!(hostd.pid_of("shop.main.1"), shop);
    });
}

#[test]
fn the_policy_gives_exactly_what_it_says_for_exactly_these_apps() {
    with(|scene, hostd, user| {
        let grouped = Api { user: Some((USER, USER, vec![GROUP])), ..hostd.api() };
        let named = Api { user: Some((65_534, 65_534, Vec::new())), ..hostd.api() };
        let whom = [
            (format!("uid = {USER}"), user, true),
            (format!("gid = {USER}"), user, true),
            (format!("gid = {GROUP}"), &grouped, true),
            (format!("gid = {GROUP}"), user, false),
            (format!("uid = {}", USER + 1), user, false),
            ("user = \"nobody\"".into(), &named, true),
            ("group = \"nogroup\"".into(), &named, true),
            ("user = \"nobody\"".into(), user, false),
        ];
        for (who, api, is) in whom {
            policy(scene, &format!("[[users]]\n{who}\napps = [\"shop\"]\nmay = [\"look\"]\n"));
            let status = api.ask("GET", "/v1/apps/shop", &Value::Null).status;
            assert_eq!(status == 200, is, "{who}: {status}");
        }
        for given in ["run", "look", "control", "deploy", "exec"] {
            let rule = format!("[[users]]\nuid = {USER}\napps = [\"shop\"]\nmay = [\"{given}\"]\n");
            policy(scene, &rule);
            for app in ["shop", "bank"] {
                for (verb, method, path, body) in operations(hostd, app) {
                    let may = app == "shop" && (verb == given || verb == "look" && given != "run");
                    let answer = ask(user, method, &path, &body);
                    let was = answer.status != 403;
                    assert_eq!(was, may, "{given}: {method} {path}: {answer:?}");
                    hostd.settled("shop");
                }
            }
            let apps = user.ask("GET", "/v1/apps", &Value::Null).done();
            let names: Vec<&str> = apps["apps"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["app"].as_str().unwrap())
                .collect();
            let seen: &[&str] = if given == "run" { &[] } else { &["shop"] };
            assert_eq!(names, seen, "{given}");
        }
        policy(scene, "[[users]]\nuid = 1\napps = 7\n");
        user.ask("GET", "/v1/apps/shop", &Value::Null).refused(422);
        hostd.get("/v1/apps/shop");
    });
}

#[test]
fn who_deploys_gets_nothing_that_it_could_not_reach_itself() {
    with(|scene, hostd, user| {
        policy(scene, &format!("[[users]]\nuid = {USER}\napps = [\"*\"]\nmay = [\"deploy\"]\n"));
        let open = scene.open_directory("open");
        let closed = scene.outside().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::write(closed.join("secret"), "root's").unwrap();
        fs::set_permissions(closed.join("secret"), PermissionsExt::from_mode(0o644)).unwrap();
        fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
        fs::write(open.join("own"), "root's").unwrap();
        fs::set_permissions(open.join("own"), PermissionsExt::from_mode(0o600)).unwrap();
        let show = "run = \"sh -c 'cat $0 > journal/shown; exec sleep 600'\"";
        let deploy = |rest: &str| {
            let text = manifest("own", rest).replace("run = \"./service own\"", show);
            user.ask("POST", "/v1/deploy", &hostd.deployment(&text))
        };
        let secret = closed.join("secret").display().to_string();
        // Root's word opens it, which shows that the path is right.
        let text = manifest("mine", &format!("access.read = [{secret:?}]\n{WRITES}")).replace(
            "./service mine",
            &format!("sh -c 'cat {secret} > journal/mine; exec sleep 600'"),
        );
        hostd.deploy_and_wait(&text);
        assert_eq!(fs::read_to_string(scene.app().join("journal/mine")).unwrap(), "root's");

        let grant = format!("access.read = [{secret:?}]\n{WRITES}");
        deploy(&grant).done();
        let own = hostd.until("own.main.1", "backing-off");
        let reason = own["reason"].as_str().unwrap();
        assert!(reason.contains("secret") || reason.contains("closed"), "{reason}");
        assert!(reason.contains("Permission denied") || reason.contains("deployer"), "{reason}");
        assert!(!scene.app().join("journal/shown").exists());

        let refused = [
            ("access.capabilities = [\"CAP_NET_ADMIN\"]", "CAP_NET_ADMIN"),
            ("access.syscalls = [\"ptrace\"]", "ptrace"),
            ("user = \"root\"", "root"),
            ("logs.sinks = [\"file:app.log\"]", "logs.sinks"),
        ];
        for (rest, part) in refused {
            let said = deploy(&format!("{rest}\n{WRITES}")).refused(422);
            assert!(said.contains(part), "{rest}: {said}");
        }
        assert!(!scene.app().join("app.log").exists());
        // And what it may have, it gets.
        deploy(WRITES).done();
        hostd.settled("own");
        let entry = &hostd.get("/v1/apps/own/history")["versions"][0];
        assert_eq!(entry["by"], format!("uid {USER}"));
    });
}

#[test]
fn beside_the_socket_nothing_of_hostds_is_anybodys_to_read() {
    with(|scene, hostd, _| {
        let ports = Ports::hold();
        let text = format!("port = {}\naccess.address = \"host\"\n{WRITES}", ports.number(0));
        hostd.deploy_and_wait(
            &manifest("port", &text).replace("./service port", "./service port port"),
        );
        let run = scene.outside().join("run");
        let reach = |path: &Path| {
            let mode = fs::symlink_metadata(path).unwrap().mode();
            (mode & 0o7, path.to_owned())
        };
        assert_eq!(reach(&run).0, 0o1, "{run:?} can be gone through, and not listed");
        for entry in fs::read_dir(&run).unwrap() {
            let entry = entry.unwrap();
            let wanted = if entry.file_name() == "hostd.sock" { 0o6 } else { 0 };
            assert_eq!(reach(&entry.path()), (wanted, entry.path()));
        }
        let secret = |name: &str| name.starts_with("state.db") || name.starts_with("audit");
        let mut seen = 0;
        for entry in fs::read_dir(scene.state()).unwrap() {
            let entry = entry.unwrap();
            if secret(entry.file_name().to_str().unwrap()) {
                assert_eq!(reach(&entry.path()), (0, entry.path()));
                seen += 1;
            }
        }
        assert!(seen >= 3, "the state, and the audit log");
        let tried = ["leases.db", "instances", "instances/shop.main.1/control"];
        for name in tried {
            let read = format!(
                "setpriv --reuid={USER} --regid={USER} --clear-groups cat {}",
                run.join(name).display()
            );
            let done = std::process::Command::new("sh").args(["-c", &read]).output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(!done.status.success() && said.contains("Permission denied"), "{name}: {said}");
        }
        assert!(hostd.instances("shop").len() == 1);
    });
}

/// Send bytes as they are, and no more if they are `all`, and take what is answered until the end.
fn send(api: &Api, bytes: &[u8], all: bool) -> String {
    let mut stream = api.connect().unwrap();
    let _ = stream.write_all(bytes);
    if all {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn nothing_that_a_client_sends_ends_hostd() {
    with(|_, hostd, user| {
        let (pid, shop) = (hostd.pid(), hostd.pid_of("shop.main.1"));
        let api = Api { user: None, ..user.clone() };
        let line = "GET /v1/host HTTP/1.1\r\n";
        let garbage = [
            b"\x00\x01\x02\xff\xfe\r\n\r\n".to_vec(),
            b"GET".to_vec(),
            b"HELLO /v1/host FTP/9\r\n\r\n".to_vec(),
            format!("{line}Content-Length: -1\r\n\r\n").into_bytes(),
            format!("{line}Content-Length: 99999999999999999999\r\n\r\n").into_bytes(),
            format!("{line}Transfer-Encoding: chunked\r\n\r\nZZ\r\n").into_bytes(),
            format!("{line}X: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes(),
            [line.as_bytes(), "X: y\r\n".repeat(10_000).as_bytes(), b"\r\n"].concat(),
            format!("GET /{} HTTP/1.1\r\n\r\n", "a/".repeat(4000)).into_bytes(),
            b"POST /v1/deploy HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"half".to_vec(),
        ];
        for bytes in &garbage {
            let answer = send(&api, bytes, true);
            assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        let plain = [
            ("GET", "/v1/nothing", 404),
            ("GET", "/", 404),
            ("PUT", "/v1/host", 405),
            ("GET", "/v1/apps/%00%ff..%2f..%2fetc", 404),
            ("POST", "/v1/deploy", 400),
            ("POST", "/v1/apps/shop/scale", 400),
            ("POST", "/v1/apps/shop/exec", 400),
        ];
        for (method, path, status) in plain {
            api.ask(method, path, &Value::Null).refused(status);
        }
        let deep = "[".repeat(100_000);
        for body in ["{", "null", "[]", "{\"service\": 7, \"count\": -1}", &deep, "\u{fffd}"] {
            let head = "POST /v1/apps/shop/scale HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
            let answer = send(
                &api,
                format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
                false,
            );
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        }
        let large =
            json!({ "manifest": { "name": "a", "text": "x".repeat(9 << 20), "folder": "/" } });
        api.ask("POST", "/v1/deploy", &large).refused(413);

        // Those who say nothing, half of it, or do not read, hold up nobody.
        let mut slow: Vec<_> = (0..200).map(|_| api.connect().unwrap()).collect();
        for (place, stream) in slow.iter_mut().enumerate() {
            match place % 3 {
                0 => {}
                1 => stream.write_all(b"GET /v1/ho").unwrap(),
                _ => stream
                    .write_all(b"GET /v1/events?follow=true HTTP/1.1\r\nHost: a\r\n\r\n")
                    .unwrap(),
            }
        }
        hostd.post("/v1/apps/bank/restart", &Value::Null).done();
        hostd.settled("bank");
        drop(slow);
        let files = || fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        eventually("it has let go of them", || files() < 60);
        assert_eq!((hostd.pid(), hostd.pid_of("shop.main.1")), (pid, shop));
        assert!(fs::metadata(format!("/proc/{pid}")).is_ok());
    });
}

#[test]
fn a_user_with_a_hostd_of_its_own_is_its_owner_and_nobody_else_is() {
    let scene = Scene::new(As::User);
    scene.service();
    chown(scene.app().join("service"), Some(USER), Some(USER)).unwrap();
    let hostd = Hostd::start(&scene);
    let own = Api { user: Some((USER, USER, Vec::new())), ..hostd.api() };
    own.ask("POST", "/v1/deploy", &hostd.deployment(&manifest("shop", WRITES))).done();
    hostd.settled("shop");
    let other = Api { user: Some((USER + 1, USER + 1, Vec::new())), ..hostd.api() };
    other.ask("POST", "/v1/apps/shop/stop", &Value::Null).refused(403);
    own.ask("POST", "/v1/apps/shop/stop", &Value::Null).done();
    hostd.settled("shop");
}
