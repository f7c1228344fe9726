//! Promise: no socket reaches past the rules on ports and destinations, and where nothing of the
//! network is granted, none reaches anything.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::support::attack::BARE;
use crate::support::landlock;
use crate::support::{As, EVERYONE, Scene};

const SOCKETS: &str = "\
packet: EAFNOSUPPORT
packet, cooked: EAFNOSUPPORT
packet, the old way: EPERM
raw v4: EPERM
raw v6: EPERM
echo request: EPROTONOSUPPORT
mptcp v4: EPROTONOSUPPORT
mptcp v6: EPROTONOSUPPORT
mptcp, upper half set: EPROTONOSUPPORT
sctp: EPROTONOSUPPORT
udp-lite: EPROTONOSUPPORT
vsock: EAFNOSUPPORT
algorithms: EAFNOSUPPORT
xdp: EAFNOSUPPORT
bluetooth: EAFNOSUPPORT
can: EAFNOSUPPORT
tipc: EAFNOSUPPORT
smc: EAFNOSUPPORT
netlink audit: EAFNOSUPPORT
netlink netfilter: EAFNOSUPPORT
netlink uevents: EAFNOSUPPORT
netlink socket diagnosis: EAFNOSUPPORT
";

#[test]
fn families_and_protocols_that_no_rule_would_see_are_refused() {
    for who in EVERYONE {
        for network in ["none", "host"] {
            let scene = Scene::new(who);
            let access = format!("{BARE}\nnetwork = {network:?}");
            scene.attack("sockets", "", &access).attempts(who, SOCKETS);
        }
    }
}

#[test]
fn without_a_grant_there_is_no_network() {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = service.local_addr().unwrap().port();
    let targets = [
        format!("tcp:127.0.0.1:{port}"),
        "tcp:169.254.169.254:80".to_owned(),
        "tcp:192.0.2.1:443".to_owned(),
    ];
    let expected = format!(
        "{}: ECONNREFUSED\n{}: ENETUNREACH\n{}: ENETUNREACH\n",
        targets[0], targets[1], targets[2]
    );
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.attack("connect", &targets.join(" "), BARE).attempts(who, &expected);
    }
}

/// A socket of the host whose name is in no directory.
fn abstract_listener(network: &str, who: As) -> (UnixListener, String) {
    let name = format!("hostctl-e2e-{}-{network}-{who:?}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    (UnixListener::bind_addr(&address).unwrap(), name)
}

#[test]
fn abstract_sockets_of_the_host_are_out_of_reach() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let (_listener, name) = abstract_listener("none", who);
        let target = format!("abstract:{name}");
        let expected = format!("{target}: ECONNREFUSED\n");
        scene.attack("connect", &target, BARE).attempts(who, &expected);
    }
}

/// On the host's network only Landlock keeps them apart (ABI 6, kernel 6.12).
#[test]
fn abstract_sockets_of_the_host_are_out_of_reach_on_its_network_too() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let (_listener, name) = abstract_listener("host", who);
        let target = format!("abstract:{name}");
        let access = format!("{BARE}\nnetwork = \"host\"");
        if landlock::abi() < landlock::SCOPES {
            scene.aim("connect", &target, &access);
            scene.says_not_enforced("abstract sockets");
            continue;
        }
        scene.attack("connect", &target, &access).attempts(who, &format!("{target}: EPERM\n"));
    }
}
