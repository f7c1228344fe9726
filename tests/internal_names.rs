//! Promise: a service is found as NAME.internal on its host, by the host's own resolver, as long as
//! it is deployed; and hostd answers for nothing else.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::hostd::Hostd;
use crate::support::namespace::alone;
use crate::support::{As, Ran, Scene, eventually};

/// Whatever the C library asks on port 53 of the responder's address reaches it: the tests' host has
/// no resolver that could be told a port.
const TO_HOSTD: &str = "table ip to_hostd {
    chain output {
        type nat hook output priority -100;
        ip daddr 127.0.99.53 meta l4proto { tcp, udp } th dport 53 dnat to 127.0.99.53:10053
    }
}";

/// Run something where the host's resolver is the responder.
fn run(scene: &Scene, words: &[&str]) -> Ran {
    let resolver = scene.outside().join("resolv.conf");
    std::fs::write(&resolver, "nameserver 127.0.99.53\noptions timeout:5 attempts:6\n").unwrap();
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let mut command = scene.command(Path::new("unshare"));
    command.args(["--mount", "sh", "-c", script]).arg(&resolver).args(words);
    Ran::from(command.output().unwrap())
}

fn nft(text: &str) {
    let mut command = Command::new("nft");
    let output = command.args(["--", text]).output().expect("nft(8): package nftables");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The addresses that the C library finds for a name, sorted; empty for one that is not there.
fn addresses(scene: &Scene, name: &str) -> Vec<String> {
    let ran = run(scene, &["getent", "ahosts", name]);
    assert!([0, 2].contains(&ran.code), "{name}: {}", ran.err);
    let first = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    let mut found: Vec<_> = ran.out.lines().map(first).collect();
    found.sort();
    found.dedup();
    found
}

fn doctor(scene: &Scene) -> Value {
    let hostctl = crate::support::hostctl();
    let ran = run(scene, &[hostctl.to_str().unwrap(), "doctor", "--json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["name"] == "names").unwrap().clone()
}

const SHOP: &str = r#"
name = "shop"
[services.web]
run = "sleep 1000"
port = 8081
[services.db]
run = "sleep 1000"
port = { port = 5432, listen = "127.0.0.7:5432" }
[services.worker]
run = "sleep 1000"
"#;

#[test]
fn a_service_is_found_by_its_name_as_long_as_it_is_deployed() {
    alone(|| {
        let scene = Scene::new(As::Root);
        nft(TO_HOSTD);
        let nobody = doctor(&scene);
        assert!(nobody["what"].as_str().unwrap().starts_with("no hostd"), "{nobody}");
        let hostd = Hostd::start(&scene);
        assert_eq!(doctor(&scene)["what"], "NAME.internal leads to services", "{}", hostd.log());
        assert_eq!(addresses(&scene, "demo.internal"), Vec::<String>::new());
        scene.shell_app("exec sleep 1000", "port = 8080\n");
        let text = std::fs::read_to_string(scene.app().join("app.toml")).unwrap();
        hostd.deploy(&text);
        hostd.deploy(SHOP);
        let here = ["127.0.0.1", "::1"];
        for name in ["demo.internal", "DEMO.Internal", "shop.web.internal"] {
            assert_eq!(addresses(&scene, name), here, "{name}");
        }
        assert_eq!(addresses(&scene, "shop.db.internal"), ["127.0.0.7"], "where it listens");
        // No port, no service; and what has names below it is no service either.
        for name in ["shop.worker.internal", "shop.internal", "web.internal", "example.com"] {
            assert_eq!(addresses(&scene, name), Vec::<String>::new(), "{name}");
        }
        hostd.post("/v1/apps/demo/stop", &json!({})).done();
        assert_eq!(addresses(&scene, "demo.internal"), here, "one that is down is no mistake");
        hostd.api().ask("DELETE", "/v1/apps/demo", &json!({})).done();
        eventually("the name is gone", || addresses(&scene, "demo.internal").is_empty());
        assert_eq!(addresses(&scene, "shop.web.internal"), here);
    });
}
