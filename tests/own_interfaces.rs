//! Promise: a program's traffic leaves and arrives through the interfaces its manifest names, and
//! through no other.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::attack::BARE;
use crate::support::namespace::{Namespace, Tap, alone, index, ip};
use crate::support::{As, Ran, Scene, eventually};

const MARKER: &[u8] = b"hostctl-escape";

/// Two wires to another host; the first is the usual way.
fn wired() -> Namespace {
    let (here, there) = (Namespace::current(), Namespace::new());
    here.wire("granted", &["198.51.100.1/24"], &there, "far1", &["198.51.100.2/24"]);
    here.wire("other", &["203.0.113.1/24"], &there, "far2", &["203.0.113.2/24"]);
    ip("route add default dev granted metric 1");
    ip("route add default dev other metric 2");
    there
}

#[test]
fn nothing_leaves_through_another_interface() {
    alone(|| {
        let _there = wired();
        let scene = Scene::new(As::Root);
        let words = [
            "plain/udp/203.0.113.2/5000",
            "beside/udp/192.0.2.9/5000",
            "bind-name/udp/192.0.2.9/5000",
            "bind-index/udp/192.0.2.9/5000",
            "unicast/udp/192.0.2.9/5000",
            "multicast/udp/224.0.0.251/5000",
            "mark/udp/192.0.2.9/5000",
        ];
        let expected = words.map(|word| format!("{word}: EPERM\n")).concat();
        let access = format!("{BARE}\nconnect = [\"*\"]\ninterfaces = [\"granted\"]");
        let mut tap = Tap::open();
        let arguments = format!("other {}", words.join(" "));
        scene.attack("device", &arguments, &access).attempts(As::Root, &expected);
        assert_eq!(tap.count(MARKER), 0);
        let ran = scene.attack("device", "granted plain/udp/192.0.2.9/5000", &access);
        assert_eq!(ran.out, "plain/udp/192.0.2.9/5000: SUCCEEDED\n", "{}", ran.err);
        assert_eq!(tap.count_on(index("granted"), MARKER), 1);
    });
}

fn connects(from: &Namespace, to: &str) -> bool {
    let to: SocketAddr = to.parse().unwrap();
    from.enter(|| TcpStream::connect_timeout(&to, Duration::from_millis(300)).is_ok())
}

#[test]
fn nothing_arrives_through_another_interface() {
    let port = "\n[ports]\nweb = { port = 8080, interface = \"granted\" }\n";
    for access in [
        "interfaces = [\"granted\"]\n[ports]\nweb = 8080\n".to_owned(),
        port.to_owned(),
        format!("interfaces = [\"granted\", \"other\", \"lo\"]\n{port}"),
    ] {
        alone(|| {
            let there = wired();
            let scene = Scene::new(As::Root);
            let run = "python3 -m http.server 8080";
            let text = format!("name = \"demo\"\nrun = {run:?}\n[access]\n{access}");
            scene.write("app.toml", &text);
            let mut running = scene.start(["run", "--quiet", "app.toml"]);
            eventually("it is reached through the granted interface", || {
                assert!(running.child().try_wait().unwrap().is_none());
                connects(&there, "198.51.100.1:8080")
            });
            assert!(!connects(&there, "203.0.113.1:8080"), "{access}");
            assert!(!connects(&Namespace::current(), "127.0.0.1:8080"), "{access}");
        });
    }
}

#[test]
fn an_interface_that_comes_again_is_the_granted_one() {
    alone(|| {
        let (here, there) = (Namespace::current(), Namespace::new());
        here.wire("granted", &["198.51.100.1/24"], &there, "far", &["198.51.100.2/24"]);
        let scene = Scene::new(As::Root);
        let run = "python3 -m http.server 8080";
        let access = "[access]\ninterfaces = [\"granted\"]";
        scene
            .write("app.toml", &format!("name = \"demo\"\nrun = {run:?}\nport = 8080\n{access}\n"));
        let mut running = scene.start(["run", "--quiet", "app.toml"]);
        eventually("it is reached", || {
            assert!(running.child().try_wait().unwrap().is_none());
            connects(&there, "198.51.100.1:8080")
        });
        let before = index("granted");
        ip("link del granted");
        here.wire("between", &["203.0.113.1/24"], &there, "far2", &["203.0.113.2/24"]);
        here.wire("granted", &["198.51.100.1/24"], &there, "far", &["198.51.100.2/24"]);
        assert_ne!(index("granted"), before);
        eventually("it is reached again", || connects(&there, "198.51.100.1:8080"));
        assert!(!connects(&there, "203.0.113.1:8080"));
    });
}

#[test]
fn an_interface_that_does_not_exist_ends_the_start() {
    alone(|| {
        let scene = Scene::new(As::Root);
        for access in [
            "connect = [\"*\"]\ninterfaces = [\"absent0\"]",
            "[ports]\nweb = { port = 8080, interface = \"absent0\" }",
        ] {
            scene.aim("dial", "", &format!("{BARE}\n{access}"));
            let ran: Ran = scene.run(["run", "app.toml"]);
            assert_ne!(ran.code, 0);
            assert!(ran.err.contains("this host has no interface absent0"), "{}", ran.err);
        }
    });
}
