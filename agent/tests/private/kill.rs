//! Promise: nothing of an instance gets out in the moment between the end of its rules and its own.

use std::os::fd::AsRawFd;
use std::process::Command;

use agent::network::private;
use manifest_spec::manifest::Protocol::Udp;

use crate::scene::*;

/// A program of the instance's: sends without pause to a service of the host that is out of reach
/// and to one that is not, and dies with hostctl as process 1 of a sandbox does.
const PROGRAM: &str = r#"
import ctypes, os, socket, sys
kernel = ctypes.CDLL(None)
PR_SET_PDEATHSIG, SIGKILL, CLONE_NEWNET = 1, 9, 0x40000000
assert kernel.prctl(PR_SET_PDEATHSIG, SIGKILL) == 0
assert kernel.setns(os.open(sys.argv[1], os.O_RDONLY), CLONE_NEWNET) == 0
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    for address in ("192.0.2.1", 9000), ("169.254.1.1", 53):
        try:
            line.sendto(b"?", address)
        except OSError:
            pass
"#;

/// A hostctl with such a program.
#[test]
fn holder() {
    let Some(root) = started_in() else { return };
    let inward = vec![inward(Udp, 53, "127.0.0.1:53")];
    let layout = Layout { inward, egress: None, ..layout(7) };
    let network = private::build(&layout, &directories(&root)).unwrap();
    let number = network.namespace().as_raw_fd();
    let path = format!("/proc/{}/fd/{number}", std::process::id());
    let mut program = Command::new("python3").args(["-c", PROGRAM, &path]).spawn().unwrap();
    program.wait().unwrap();
}

#[test]
fn a_kill_opens_nothing() {
    for _ in 0..5 {
        let scene = Scene::new();
        let (out_of_reach, granted) =
            (udp(&scene.host, "0.0.0.0:9000"), udp(&scene.host, "127.0.0.1:53"));
        let mut child = start(&scene, "kill::holder");
        granted.recv(&mut [0]).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        out_of_reach.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(out_of_reach.recv(&mut [0]).is_err(), "a packet after the kill");
    }
}
