//! Promise: a program connects and sends where its manifest says, also when a name has moved, and
//! nowhere else.

use std::net::{TcpListener, UdpSocket};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::attack::BARE;
use crate::support::landlock;
use crate::support::namespace::{Namespace, Tap, alone, ip};
use crate::support::{As, EVERYONE, Ran, Scene, hostctl};

/// A service on the loopback interface for TCP and for UDP.
fn service(port: u16) -> (TcpListener, UdpSocket) {
    (TcpListener::bind(("::", port)).unwrap(), UdpSocket::bind(("::", port)).unwrap())
}

fn lines(words: &[&str], outcome: &str) -> String {
    words.iter().map(|word| format!("{word}: {outcome}\n")).collect()
}

const STREAMS: [&str; 8] = [
    "connect/tcp/127.0.0.1/7000",
    "connect/tcp/0.0.0.0/7000",
    "connect/tcp/::1/7000",
    "connect/tcp/::ffff:127.0.0.1/7000",
    "fastopen/tcp/127.0.0.1/7000",
    "fastopen/tcp/::1/7000",
    "fastopen-connect/tcp/127.0.0.1/7000",
    "again/tcp/127.0.0.1/7001/127.0.0.1/7000",
];

const DATAGRAMS: [&str; 13] = [
    "connect/udp/127.0.0.1/7000",
    "connect/udp/::ffff:127.0.0.1/7000",
    "send/udp/127.0.0.1/7000",
    "send/udp/0.0.0.0/7000",
    "send/udp/::1/7000",
    "send/udp/::ffff:127.0.0.1/7000",
    "sendmsg/udp/127.0.0.1/7000",
    "sendmmsg/udp/::1/7000",
    "cork/udp/127.0.0.1/7000",
    "again/udp/127.0.0.1/7001/127.0.0.1/7000",
    "aside/udp/127.0.0.1/7001/127.0.0.1/7000",
    "nameless-send/udp/127.0.0.1/7000",
    "send/udp/169.254.169.254/80",
];

#[test]
fn what_is_not_granted_is_out_of_reach() {
    for who in EVERYONE {
        alone(|| {
            let (_granted, _other) = (service(7001), service(7000));
            let scene = Scene::new(who);
            let access = format!("{BARE}\nconnect = [\"127.0.0.1:7001\"]");
            // fastopen is another way past Landlock, and the programs' to refuse.
            let outcome = |word: &str| match who {
                As::Root if word.starts_with("fastopen/") => "EPERM",
                _ => landlock::port_refusal(),
            };
            let words =
                STREAMS.iter().filter(|word| who == As::Root || !word.starts_with("fastopen/"));
            let words: Vec<_> = words.copied().collect();
            let expected: String =
                words.iter().map(|word| format!("{word}: {}\n", outcome(word))).collect();
            if who == As::User && landlock::abi() < landlock::PORTS {
                scene.aim("dial", "", &access);
                scene.says_not_enforced("ports and destinations");
                return;
            }
            scene.attack("dial", &words.join(" "), &access).attempts(who, &expected);
            if who == As::Root {
                let expected = lines(&DATAGRAMS, "EPERM");
                scene.attack("dial", &DATAGRAMS.join(" "), &access).attempts(who, &expected);
            }
        });
    }
}

#[test]
fn what_is_granted_is_reached() {
    let granted = |who| match who {
        As::Root => vec![
            "connect/tcp/127.0.0.1/7001",
            "connect/tcp/::ffff:127.0.0.1/7001",
            "connect/udp/127.0.0.1/7001",
            "send/udp/127.0.0.1/7001",
            "sendmmsg/udp/127.0.0.1/7001",
            "again/tcp/127.0.0.1/7001/127.0.0.1/7001",
        ],
        As::User => vec!["connect/tcp/127.0.0.1/7001", "connect/udp/127.0.0.1/7001"],
    };
    for connect in ["127.0.0.1:7001", "127.0.0.0/8:7001", "127.0.0.1:*", "localhost:7001", "*"] {
        for who in EVERYONE {
            alone(|| {
                let _granted = service(7001);
                let scene = Scene::new(who);
                let words = granted(who);
                let access = format!("{BARE}\nconnect = [{connect:?}]");
                let ran = scene.attack("dial", &words.join(" "), &access);
                assert_eq!(ran.out, lines(&words, "SUCCEEDED"), "{who:?} {connect}: {}", ran.err);
            });
        }
    }
}

#[test]
fn no_packet_with_a_route_of_its_own_leaves() {
    alone(|| {
        let (here, there) = (Namespace::current(), Namespace::new());
        here.wire("near", &["203.0.113.1/24", "2001:db8:77::1/64"], &there, "far", &[]);
        let scene = Scene::new(As::Root);
        let access = format!("{BARE}\nconnect = [\"203.0.113.5:5000\", \"[2001:db8:77::5]:5000\"]");
        let words = [
            "loose/udp/203.0.113.5/5000/203.0.113.77/0",
            "strict/tcp/203.0.113.5/5000/203.0.113.77/0",
            "loose-once/udp/203.0.113.5/5000/203.0.113.77/0",
            "segments/udp/2001:db8:77::5/5000/2001:db8:77::77/0",
            "segments/tcp/2001:db8:77::5/5000/2001:db8:77::77/0",
        ];
        let mut tap = Tap::open();
        let ran = scene.attack("route", &words.join(" "), &access);
        assert_eq!(ran.out.matches(": E").count(), words.len(), "{}{}", ran.out, ran.err);
        assert_eq!(tap.count(&[203, 0, 113, 77]), 0);
        assert_eq!(tap.count(&[0x20, 0x01, 0x0d, 0xb8, 0, 0x77]), 0);
        let ran = scene.attack("dial", "send/udp/203.0.113.5/5000", &access);
        assert_eq!(ran.out, "send/udp/203.0.113.5/5000: SUCCEEDED\n", "{}", ran.err);
        assert_eq!(tap.count(b"hostctl-escape"), 1);
    });
}

#[test]
fn the_network_is_not_changed_from_inside() {
    alone(|| {
        let scene = Scene::new(As::Root);
        let script = "\
ip link set lo down
ip addr add 127.7.7.7/8 dev lo
ip route add 203.0.113.0/24 dev lo
ip link add made type veth peer name made2
ip rule add from all table 7
";
        let script: String = script
            .lines()
            .map(|line| format!("{line} && echo \"{line}: SUCCEEDED\"\n"))
            .chain(["true\n".to_owned()])
            .collect();
        scene.shell_app(&script, "[access]\nconnect = [\"*\"]\n");
        let ran = scene.run(["run", "--quiet", "app.toml"]).exited(0);
        assert_eq!(ran.out, "");
        assert_eq!(ran.err.matches("Operation not permitted").count(), 5, "{}", ran.err);
        ip("route show dev lo");
    });
}

/// hostctl on a host whose /etc/hosts is this file of the scene.
fn with_names(scene: &Scene) -> std::process::Command {
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$1\" run --quiet app.toml";
    let mut command = scene.command("unshare".as_ref());
    command.args(["--mount", "sh", "-c", script]);
    command.arg(scene.outside().join("names")).arg(hostctl());
    command
}

#[test]
fn a_name_leads_to_its_addresses_and_no_others() {
    alone(|| {
        let (_first, _second) = (service(7001), service(7002));
        let scene = Scene::new(As::Root);
        std::fs::write(scene.outside().join("names"), "127.0.3.1 db.example\n").unwrap();
        let words = ["connect/tcp/127.0.3.1/7001", "send/udp/127.0.3.1/7001"];
        let access = format!("{BARE}\nconnect = [\"db.example:7001\"]");
        scene.aim("dial", &words.join(" "), &access);
        let ran = Ran::from(with_names(&scene).output().unwrap());
        assert_eq!(ran.out, lines(&words, "SUCCEEDED"), "{}", ran.err);
        let words =
            ["send/udp/127.0.3.2/7001", "send/udp/127.0.3.1/7002", "connect/tcp/127.0.3.1/7002"];
        scene.aim("dial", &words.join(" "), &access);
        let refused = landlock::port_refusal();
        let expected = lines(&words[..2], "EPERM") + &lines(&words[2..], refused);
        Ran::from(with_names(&scene).output().unwrap()).attempts(As::Root, &expected);
    });
}

#[test]
fn a_name_that_is_not_known_ends_the_start() {
    alone(|| {
        let scene = Scene::new(As::Root);
        std::fs::write(scene.outside().join("names"), "127.0.3.1 db.example\n").unwrap();
        scene.aim("dial", "", &format!("{BARE}\nconnect = [\"gone.invalid:7001\"]"));
        let ran = Ran::from(with_names(&scene).output().unwrap());
        assert_ne!(ran.code, 0);
        assert!(ran.err.contains("access.connect[0]"), "{}", ran.err);
        assert!(ran.err.contains("gone.invalid"), "{}", ran.err);
    });
}

/// A run that ends with its test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Names are looked up every half minute: a new address is reached, the old one no longer, and the
/// program's own /etc/hosts says so.
#[test]
fn a_name_that_moves_is_followed() {
    alone(|| {
        let _service = service(7001);
        let scene = Scene::new(As::Root);
        let names = scene.outside().join("names");
        std::fs::write(&names, "127.0.3.1 db.example\n").unwrap();
        let script = "\
while :; do
    for address in 127.0.3.1 127.0.3.2; do
        python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], 7001))' $address \
            2> /dev/null && echo $address
    done
    grep -c '127.0.3.2 db.example' /etc/hosts
    sleep 0.5
done
";
        scene.shell_app(script, "[access]\nconnect = [\"db.example:7001\"]\n");
        let mut child = Ended(with_names(&scene).stdout(Stdio::piped()).spawn().unwrap());
        let mut output = std::io::BufReader::new(child.0.stdout.take().unwrap());
        let mut round = || {
            let mut said = Vec::new();
            while said.last().is_none_or(|line: &String| line.len() != 1) {
                let mut line = String::new();
                assert!(std::io::BufRead::read_line(&mut output, &mut line).unwrap() > 0);
                said.push(line.trim().to_owned());
            }
            said
        };
        assert_eq!(round(), ["127.0.3.1", "0"]);
        std::fs::write(&names, "127.0.3.2 db.example\n").unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        let mut said = round();
        while said != ["127.0.3.2", "1"] {
            assert!(Instant::now() < end, "{said:?}");
            said = round();
        }
    });
}

/// nss modules and libraries talk to these, and what answers them is not held to the rules.
const DOORS: [&str; 4] = [
    "/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
    "/run/dbus/system_bus_socket",
    "/var/run/nscd/socket",
];

#[test]
fn no_resolver_s_socket_is_in_view() {
    for base in ["none", "system"] {
        alone(|| {
            let scene = Scene::new(As::Root);
            let access = format!("base = {base:?}\nconnect = [\"*\"]");
            scene.aim("reach", &DOORS.join(" "), &access);
            // A host where all of them are there.
            // hostctl itself may be in what is hidden.
            let script = "\
exec 9< \"$1\"
mount -t tmpfs tmpfs /run && mkdir -p /run/nscd /run/systemd/resolve /run/dbus || exit 99
for door in $2; do
    python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' \"$door\" && [ -S \"$door\" ] || exit 98
done
exec /proc/self/fd/9 run --quiet app.toml
";
            let mut command = scene.command("unshare".as_ref());
            command.args(["--mount", "sh", "-c", script, "sh"]).arg(hostctl());
            command.arg(DOORS[..3].join(" "));
            let expected = DOORS.map(|door| format!("{door}: ENOENT\n")).concat();
            Ran::from(command.output().unwrap()).attempts(As::Root, &expected);
        });
    }
}

/// Landlock does not see a connection that begins with its first data.
#[test]
fn a_user_s_program_does_not_connect_by_fast_open() {
    alone(|| {
        let (_granted, other) = (service(7001), service(7000));
        let scene = Scene::new(As::User);
        let words = "fastopen/tcp/127.0.0.1/7000 fastopen/tcp/::1/7000";
        let access = format!("{BARE}\nconnect = [\"127.0.0.1:7001\"]");
        let ran = scene.attack("dial", words, &access);
        assert!(!ran.out.contains("SUCCEEDED"), "{}{}", ran.out, ran.err);
        other.0.set_nonblocking(true).unwrap();
        assert!(other.0.accept().is_err());
    });
}
