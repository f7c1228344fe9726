//! Promise: other rules take the place of the old with no moment between, for programs that run
//! already too.

use std::net::{TcpListener, UdpSocket};

use crate::arrivals::Waiting;
use crate::namespace::alone;
use crate::wall::{Wall, nothing, only};

#[test]
fn a_destination_that_changed_its_address_is_reached_there_only() {
    alone(|| {
        let _first = TcpListener::bind("127.0.0.1:7001").unwrap();
        let _second = TcpListener::bind("127.0.0.2:7001").unwrap();
        let (first, second) = ("connect/tcp/127.0.0.1/7001", "connect/tcp/127.0.0.2/7001");
        let mut rules = nothing();
        rules.reach = only(&[("127.0.0.1", 32, Some(7001))]);
        let mut wall = Wall::raise(&rules);
        wall.holds("dial", &[(first, "SUCCEEDED"), (second, "EPERM")]);
        rules.reach = only(&[("127.0.0.2", 32, Some(7001))]);
        wall.change(&rules);
        wall.holds("dial", &[(first, "EPERM"), (second, "SUCCEEDED")]);
    });
}

#[test]
fn a_running_program_is_held_to_the_new_rules() {
    alone(|| {
        let receiver = UdpSocket::bind("127.0.0.1:5000").unwrap();
        receiver.set_nonblocking(true).unwrap();
        let mut rules = nothing();
        rules.reach = only(&[("127.0.0.1", 32, Some(5000)), ("127.0.0.1", 32, Some(5001))]);
        let mut wall = Wall::raise(&rules);
        let waiting = Waiting::start(&wall, "ask/udp/127.0.0.1/5001/127.0.0.1/5000");
        rules.reach = only(&[("127.0.0.1", 32, Some(5001))]);
        wall.change(&rules);
        assert_eq!(waiting.finish(), "aside: EPERM\n");
        assert!(receiver.recv(&mut [0; 64]).is_err());
    });
}

#[test]
fn there_is_no_moment_without_rules() {
    alone(|| {
        let receiver = UdpSocket::bind("127.0.0.1:5000").unwrap();
        receiver.set_nonblocking(true).unwrap();
        let mut rules = nothing();
        let mut wall = Wall::raise(&rules);
        let words = vec!["send/udp/127.0.0.1/5000"; 400];
        let attacker = wall.command("dial", &words).spawn().unwrap();
        for round in 0..400_u16 {
            rules.reach = only(&[("192.0.2.1", 32, Some(round + 1))]);
            wall.change(&rules);
        }
        let output = attacker.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.matches(": EPERM\n").count(), 400);
        assert!(receiver.recv(&mut [0; 64]).is_err());
    });
}
