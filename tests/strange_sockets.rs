//! Promise: a socket that a program did not make itself leads no further: neither one of its caller
//! nor one of another app.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use crate::support::attack::BARE;
use crate::support::landlock;
use crate::support::namespace::alone;
use crate::support::{As, EVERYONE, Ran, Scene, hostctl};

fn service(port: u16) -> (TcpListener, UdpSocket) {
    (TcpListener::bind(("127.0.0.1", port)).unwrap(), UdpSocket::bind(("127.0.0.1", port)).unwrap())
}

#[test]
fn a_socket_of_another_app_keeps_the_rules_of_its_maker() {
    for (protocol, refused) in [("udp", "EPERM"), ("tcp", landlock::port_refusal())] {
        alone(|| {
            let (_granted, _other) = (service(7001), service(7000));
            let (maker, taker) = (Scene::new(As::Root), Scene::new(As::Root));
            let door = maker.open_directory("shared");
            let path = door.join("door");
            let access = format!(
                "{BARE}\nread = [\".\"]\nwrite = [{door:?}]\nconnect = [\"127.0.0.1:7001\"]"
            );
            maker.aim("pass", &format!("give {} {protocol}", path.display()), &access);
            let mut giving = maker.start(["run", "--quiet", "app.toml"]);
            giving.until_output("giving");
            let words = format!(
                "bind/{protocol}/127.0.0.1/8081 send/{protocol}/127.0.0.1/7000 \
                 send/{protocol}/127.0.0.1/7001"
            );
            let words: Vec<_> = words.split_whitespace().collect();
            let arguments = format!("take {} {}", path.display(), words.join(" "));
            // Landlock judges who acts, the programs judge whose socket it is: with TCP both must
            // agree, where Landlock has rules on ports.
            let access =
                format!("{BARE}\nnetwork = \"host\"\nread = [\".\"]\nwrite = [{door:?}]\n");
            let ran = taker.attack("pass", &arguments, &access);
            let last = if refused == "EACCES" { refused } else { "SUCCEEDED" };
            let expected = [refused, refused, last];
            let expected: String = words
                .iter()
                .zip(expected)
                .map(|(word, outcome)| format!("{word}: {outcome}\n"))
                .collect();
            assert_eq!(ran.out, expected, "{}", ran.err);
        });
    }
}

#[test]
fn sockets_made_before_the_start_are_not_inherited() {
    for who in EVERYONE {
        alone(|| {
            let scene = Scene::new(who);
            scene.aim("descriptors", "", BARE);
            let script = "\
import os, socket, sys
for number in range(3, 51):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if made.fileno() != number: os.dup2(made.fileno(), number)
    os.set_inheritable(number, True); made.detach()
os.execv(sys.argv[1], sys.argv[1:])
";
            let mut command = scene.command("python3".as_ref());
            command.args(["-c", script]).arg(hostctl()).args(["run", "--quiet", "app.toml"]);
            let ran = Ran::from(command.output().unwrap());
            let open: Vec<_> = ran.out.lines().filter(|line| line.starts_with("open: ")).collect();
            assert_eq!(open, ["open: 0", "open: 1", "open: 2"], "{who:?}: {}", ran.err);
        });
    }
}

/// What is sent and connected through an internet socket as standard input.
fn through_input(who: As, network: &str, input: OwnedFd, words: &str) -> Ran {
    let scene = Scene::new(who);
    scene.aim("stream", words, &format!("{BARE}\nnetwork = {network:?}"));
    let mut command = scene.hostctl(["run", "--quiet", "app.toml"]);
    Ran::from(command.stdin(Stdio::from(input)).output().unwrap())
}

#[test]
fn a_standard_stream_is_no_socket_to_send_from() {
    for who in EVERYONE {
        for network in ["none", "host"] {
            alone(|| {
                let receiver = UdpSocket::bind("127.0.0.1:7000").unwrap();
                receiver.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
                let input = UdpSocket::bind("127.0.0.1:0").unwrap();
                let words = "send/udp/127.0.0.1/7000 connect/udp/127.0.0.1/7000";
                let ran = through_input(who, network, input.into(), words);
                assert!(!ran.out.contains("SUCCEEDED"), "{who:?} {network}: {}", ran.out);
                assert!(receiver.recv(&mut [0; 64]).is_err(), "{who:?} {network}");
            });
        }
    }
}

#[test]
fn a_standard_stream_is_no_connection_to_turn_elsewhere() {
    for who in EVERYONE {
        for network in ["none", "host"] {
            alone(|| {
                let _forbidden = TcpListener::bind("127.0.0.1:7000").unwrap();
                let listener = TcpListener::bind("127.0.0.1:7002").unwrap();
                let input = TcpStream::connect("127.0.0.1:7002").unwrap();
                let _other = listener.accept().unwrap();
                let words = "connect/tcp/127.0.0.1/7000";
                let ran = through_input(who, network, input.into(), words);
                assert!(!ran.out.contains("SUCCEEDED"), "{who:?} {network}: {}", ran.out);
            });
        }
    }
}
