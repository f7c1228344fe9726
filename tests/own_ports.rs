//! Promise: a program binds the ports its manifest names, in every way, and no other in any.

use crate::support::attack::BARE;
use crate::support::landlock;
use crate::support::namespace::alone;
use crate::support::{As, EVERYONE, Scene};

const PORTS: &str = "\n[ports]\nweb = 8080\nnames = { port = 5353, protocol = \"udp\" }\n";

/// What is refused, with what root's sandbox and a user's say. TCP is Landlock's first where that
/// has rules on ports, before the programs; no call for MPTCP reaches any rule.
const REFUSED: [(&str, &str, &str); 16] = [
    ("bind/tcp/127.0.0.1/8081", "EACCES", "EACCES"),
    ("bind/tcp/0.0.0.0/8081", "EACCES", "EACCES"),
    ("bind/tcp/::1/8081", "EACCES", "EACCES"),
    ("bind/tcp/::/8081", "EACCES", "EACCES"),
    ("bind/tcp/::ffff:127.0.0.1/8081", "EACCES", "EACCES"),
    ("bind/tcp/127.0.0.1/5353", "EACCES", "EACCES"),
    ("bind/tcp/0.0.0.0/80", "EACCES", "EACCES"),
    ("shared/tcp/0.0.0.0/8081", "EACCES", "EACCES"),
    ("bind/mptcp/0.0.0.0/8081", "EPROTONOSUPPORT", "EPROTONOSUPPORT"),
    ("bind/mptcp/::/8080", "EPROTONOSUPPORT", "EPROTONOSUPPORT"),
    ("bind/udp/127.0.0.1/8080", "EPERM", ""),
    ("bind/udp/0.0.0.0/8081", "EPERM", ""),
    ("bind/udp/::/8081", "EPERM", ""),
    ("bind/udp/::ffff:127.0.0.1/8081", "EPERM", ""),
    ("bind/udp/127.0.0.1/0", "EPERM", ""),
    ("shared/udp/::/8081", "EPERM", ""),
];

#[test]
fn a_port_that_is_not_leased_is_not_bound() {
    for who in EVERYONE {
        alone(|| {
            let scene = Scene::new(who);
            let mut words = Vec::new();
            let mut expected = String::new();
            for (word, root, user) in REFUSED {
                let outcome = match if who == As::Root { root } else { user } {
                    "EACCES" if landlock::abi() < landlock::PORTS && who == As::User => "",
                    "EACCES" => landlock::port_refusal(),
                    outcome => outcome,
                };
                // Without root nothing rules on UDP once it is granted, nor on TCP before kernel
                // 6.7, as the first line says.
                if !outcome.is_empty() {
                    words.push(word);
                    expected.push_str(&format!("{word}: {outcome}\n"));
                }
            }
            let access = format!("{BARE}{PORTS}");
            scene.attack("dial", &words.join(" "), &access).attempts(who, &expected);
            if who == As::User && landlock::abi() < landlock::PORTS {
                scene.says_not_enforced("ports and destinations");
            }
        });
    }
}

#[test]
fn a_user_without_a_udp_port_has_no_udp() {
    alone(|| {
        let scene = Scene::new(As::User);
        let words = ["bind/udp/127.0.0.1/8080", "send/udp/127.0.0.1/8080", "bind/udp/::/0"];
        let expected = words.map(|word| format!("{word}: EPROTONOSUPPORT\n")).concat();
        let access = format!("{BARE}\n[ports]\nweb = 8080\n");
        scene.attack("dial", &words.join(" "), &access).attempts(As::User, &expected);
    });
}

#[test]
fn a_leased_port_is_bound_in_every_way() {
    let words = [
        "bind/tcp/127.0.0.1/8080",
        "bind/tcp/0.0.0.0/8080",
        "bind/tcp/::1/8080",
        "bind/tcp/::/8080",
        "bind/tcp/::ffff:127.0.0.1/8080",
        "shared/tcp/::/8080",
        "bind/udp/0.0.0.0/5353",
        "bind/udp/::/5353",
    ];
    for who in EVERYONE {
        alone(|| {
            let scene = Scene::new(who);
            let ran = scene.attack("dial", &words.join(" "), &format!("{BARE}{PORTS}"));
            let expected = words.map(|word| format!("{word}: SUCCEEDED\n")).concat();
            assert_eq!(ran.out, expected, "{who:?}: {}", ran.err);
        });
    }
}

#[test]
fn a_port_below_1024_needs_no_capability() {
    alone(|| {
        let scene = Scene::new(As::Root);
        let ports = "\n[ports]\nweb = 80\nnames = { port = 53, protocol = \"udp\" }\n";
        let words =
            ["bind/tcp/0.0.0.0/80", "bind/tcp/::/80", "bind/udp/::/53", "bind/udp/0.0.0.0/53"];
        let ran = scene.attack("dial", &words.join(" "), &format!("{BARE}{ports}"));
        let expected = words.map(|word| format!("{word}: SUCCEEDED\n")).concat();
        assert_eq!(ran.out, expected, "{}", ran.err);
        let words = ["bind/tcp/0.0.0.0/81", "bind/udp/0.0.0.0/80", "bind/tcp/::/53"];
        let tcp = landlock::port_refusal();
        let expected = format!("{}: {tcp}\n{}: EPERM\n{}: {tcp}\n", words[0], words[1], words[2]);
        scene
            .attack("dial", &words.join(" "), &format!("{BARE}{ports}"))
            .attempts(As::Root, &expected);
    });
}
