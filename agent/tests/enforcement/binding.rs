//! Promise: no port is bound but a leased one, in any way.

use manifest_spec::manifest::Protocol;

use crate::namespace::alone;
use crate::wall::{Wall, leased, nothing, only};

/// Every way to ask for a port that is not leased.
const REFUSED: &[&str] = &[
    "bind/tcp/127.0.0.1/8081",
    "bind/tcp/127.0.0.2/8081",
    "bind/tcp/0.0.0.0/8081",
    "bind/tcp/::1/8081",
    "bind/tcp/::/8081",
    "bind/tcp/::ffff:127.0.0.1/8081",
    "bind/tcp/::ffff:0.0.0.0/8081",
    "bind/udp/127.0.0.1/8081",
    "bind/udp/0.0.0.0/8081",
    "bind/udp/::1/8081",
    "bind/udp/::/8081",
    "bind/udp/::ffff:127.0.0.1/8081",
    "bind/mptcp/127.0.0.1/8081",
    "bind/mptcp/::1/8081",
    "bind/mptcp/::/8081",
    "bind/udplite/127.0.0.1/8081",
    // A port of one protocol is none of the other.
    "bind/udp/127.0.0.1/8080",
    "bind/udp/::/8080",
    "bind/tcp/127.0.0.1/5353",
    "bind/tcp/::/5353",
    "bind/mptcp/::/5353",
    "shared/tcp/0.0.0.0/8081",
    "shared/tcp/::/8081",
    "shared/udp/0.0.0.0/8081",
    "shared/udp/::/8081",
    // The number in the other byte order.
    "bind/tcp/127.0.0.1/36895",
    "bind/tcp/127.0.0.1/80",
    "bind/tcp/::/443",
    "bind/udp/127.0.0.1/53",
    "bind/tcp/127.0.0.1/65535",
];

#[test]
fn a_port_that_is_not_leased_is_not_bound() {
    alone(|| {
        let mut rules = nothing();
        rules.ports = vec![leased(Protocol::Tcp, 8080), leased(Protocol::Udp, 5353)];
        let ephemeral =
            ["tcp/0.0.0.0", "tcp/::", "udp/127.0.0.1", "udp/::1", "mptcp/::", "tcp/::ffff:0.0.0.0"];
        let ephemeral = ephemeral.map(|place| format!("bind/{place}/0"));
        let wall = Wall::raise(&rules);
        for word in REFUSED.iter().copied().chain(ephemeral.iter().map(String::as_str)) {
            // UDP-Lite is gone from newer kernels.
            let gone =
                word.contains("udplite") && !wall.outside("dial", &[word]).ends_with("EEDED\n");
            if !gone {
                wall.holds("dial", &[(word, "EPERM")]);
                assert_eq!(wall.outside("dial", &[word]), format!("{word}: SUCCEEDED\n"));
            }
        }
        // With a destination it may name a client's end, and nothing else more.
        rules.reach = only(&[("192.0.2.1", 32, Some(443))]);
        let wall = Wall::raise(&rules);
        for word in &ephemeral {
            assert_eq!(wall.run("dial", &[word]), format!("{word}: SUCCEEDED\n"));
        }
        for word in REFUSED.iter().filter(|word| !word.contains("udplite")) {
            wall.holds("dial", &[(word, "EPERM")]);
        }
    });
}

#[test]
fn a_leased_port_is_bound_in_every_way() {
    alone(|| {
        let mut rules = nothing();
        rules.ports = [8080, 80, 443].map(|number| leased(Protocol::Tcp, number)).into();
        rules.ports.extend([leased(Protocol::Udp, 53), leased(Protocol::Udp, 8080)]);
        let wall = Wall::raise(&rules);
        for word in [
            "bind/tcp/0.0.0.0/8080",
            "bind/tcp/127.0.0.1/8080",
            "bind/tcp/::/8080",
            "bind/tcp/::1/8080",
            "bind/tcp/::ffff:127.0.0.1/8080",
            "bind/udp/0.0.0.0/8080",
            "bind/udp/::/8080",
            "shared/tcp/::/8080",
            "bind/mptcp/::1/8080",
            // Below 1024 without a capability.
            "bind/tcp/0.0.0.0/80",
            "bind/tcp/::/443",
            "bind/tcp/::ffff:0.0.0.0/80",
            "bind/udp/127.0.0.1/53",
            "bind/udp/::/53",
        ] {
            wall.holds("dial", &[(word, "SUCCEEDED")]);
        }
    });
}
