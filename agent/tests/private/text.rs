//! The table of an instance as nft(8) would be given it.

use std::path::Path;

use agent::network::private::{door, table};
use manifest_spec::manifest::Protocol::{Tcp, Udp};

use crate::scene::*;

fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/private/tables").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} differs:\n{found}", path.display());
}

#[test]
fn tables() {
    golden("nothing.nft", &table(&layout(7)).to_string());
    golden("door.nft", &door(&layout(7)).to_string());
    let forwards = vec![
        forward(Tcp, 8083, 8080, None),
        forward(Udp, 5353, 53, Some("eth0")),
        forward(Tcp, 9093, 9090, Some("lo")),
    ];
    let inward = vec![inward(Tcp, 5432, "127.0.0.1:15432"), inward(Udp, 53, "127.0.0.53:53")];
    let egress = Some(vec!["eth1".to_owned(), "wg0".to_owned()]);
    let all = Layout { forwards, egress, inward, ..layout(7) };
    golden("everything.nft", &table(&all).to_string());
    golden("any-interface.nft", &table(&Layout { egress: None, ..layout(7) }).to_string());
}
