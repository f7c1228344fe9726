//! Promise: an instance's network is there whole or not at all, and leaves nothing, whatever ends
//! it.

use std::io::Read;
use std::os::fd::AsFd;

use agent::network::private::{self, Forward};
use host_sys::namespace::visit;
use manifest_spec::manifest::Protocol::Tcp;

use crate::scene::*;

const IPV4: [&str; 2] = ["ipv4/conf/eth0/forwarding", "ipv4/conf/eth1/forwarding"];
const IPV6: [&str; 2] = ["ipv6/conf/eth0/force_forwarding", "ipv6/conf/eth1/force_forwarding"];

/// Whether all that is switched on for instances on this kernel is so.
#[track_caller]
fn forwarding_is(scene: &Scene, value: &str) {
    let ipv6 = IPV6.iter().filter(|_| forwards_by_interface());
    for path in IPV4.iter().chain(ipv6) {
        assert_eq!(scene.setting(path), value, "{path}");
    }
}

fn nothing_left(scene: &Scene) {
    assert_eq!(scene.nft(&["list", "ruleset"], ""), "");
    forwarding_is(scene, "0");
    assert!(!scene.has_link("hostctl0a630007"));
    let records = std::fs::read_dir(scene.directories().run.join("forwarding")).unwrap();
    assert_eq!(records.count(), 1, "the lock alone");
}

fn everything() -> Layout {
    Layout { forwards: vec![forward(Tcp, 8083, 8080, None)], egress: None, ..layout(7) }
}

#[test]
fn it_ends_without_a_trace() {
    let scene = Scene::new();
    let running = scene.build(&everything());
    forwarding_is(&scene, "1");
    drop(running);
    nothing_left(&scene);
}

#[test]
fn forwarding_stays_on_for_the_last_that_needs_it() {
    let scene = Scene::new();
    let one = scene.build(&everything());
    let two = scene.build(&Layout { egress: None, ..layout(8) });
    drop(one);
    forwarding_is(&scene, "1");
    drop(two);
    nothing_left(&scene);
}

/// A hostctl: it builds, says so, and waits.
#[test]
fn holder() {
    let Some(root) = started_in() else { return };
    let _network = private::build(&everything(), &directories(&root)).unwrap();
    std::fs::write(root.join("ready"), "").unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_kill_leaves_nothing_after_the_next_sweep() {
    let scene = Scene::new();
    let mut child = start(&scene, "lifetime::holder");
    wait(|| scene.root.join("ready").exists());
    // What others still run is not swept away.
    visit(&scene.host, || private::sweep(&scene.directories()).unwrap()).unwrap();
    forwarding_is(&scene, "1");
    assert!(scene.has_link("hostctl0a630007"));
    child.kill().unwrap();
    child.wait().unwrap();
    let tables = scene.nft(&["list", "tables"], "");
    assert!(!tables.contains("hostctl-demo"), "the kernel removed it: {tables}");
    // As long as it forwards it is guarded.
    for guard in ["ipv4-eth0", "ipv4-eth1", "ipv6-eth0", "ipv6-eth1"] {
        if guard.starts_with("ipv6") && !forwards_by_interface() {
            continue; // the host was a router for it before
        }
        assert!(tables.contains(&format!("hostctl-guard-{guard}\n")), "{tables}");
    }
    visit(&scene.host, || private::sweep(&scene.directories()).unwrap()).unwrap();
    wait(|| !scene.has_link("hostctl0a630007"));
    nothing_left(&scene);
}

#[test]
fn after_a_kill_the_same_instance_starts_again() {
    let scene = Scene::new();
    let running = scene.build(&everything());
    // The namespace lives on, and with it the pair, as when a process in it is slow to die.
    let namespace = running.namespace().as_fd().try_clone_to_owned().unwrap();
    std::mem::forget(running);
    let again = scene.try_build(&Layout { name: "again".to_owned(), ..everything() });
    let again = visit(&scene.host, || drop(again.unwrap()));
    again.unwrap();
    drop(namespace);
}

#[test]
fn what_fails_leaves_nothing() {
    let scene = Scene::new();
    let bad = |forwards: Vec<Forward>| {
        let error = scene.try_build(&Layout { forwards, ..everything() }).unwrap_err();
        error.to_string()
    };
    let error = bad(vec![forward(Tcp, 8083, 8080, Some("a/b"))]);
    assert_eq!(error, "no interface can be called \"a/b\"");
    // Somebody else owns a table of this name.
    let running = scene.build(&everything());
    let same_table = Layout { address: [10, 99, 0, 9].into(), ..everything() };
    let error = scene.try_build(&same_table).unwrap_err().to_string();
    assert!(error.starts_with("nftables, table hostctl-demo.7: "), "{error}");
    assert!(!scene.has_link("hostctl0a630009"));
    drop(running);
    nothing_left(&scene);
    let wrong = vec![inward(Tcp, 1, "192.0.2.1:1")];
    let error = scene.try_build(&Layout { inward: wrong, ..everything() }).unwrap_err();
    assert_eq!(error.to_string(), "192.0.2.1:1 is not on the host's loopback device (127.0.0.0/8)");
    nothing_left(&scene);
}
