//! The plan of another program beside an instance.
//!
//! Invariant: pure; grants nothing that the instance's plan does not grant.

use super::resolve::{LOG_SOCKET, NOTIFY_SOCKET};
use super::{Plan, PlannedAddress, PlannedLogs};
use manifest_spec::manifest::Network;

/// The same plan for this command. It serves nothing, so it has no ports, no sockets and no health,
/// and what it writes is no log of the app's. `process` tells it from other programs beside the same
/// instance.
pub fn beside(plan: Plan, command: &[String], process: i32) -> Plan {
    let mut env = plan.env;
    // Who says that it is ready says so of the instance, and who logs there logs as the instance.
    let of_instance = [("NOTIFY_SOCKET", NOTIFY_SOCKET), ("LOG_SOCKET", LOG_SOCKET)];
    env.retain(|(name, value)| !of_instance.contains(&(name.as_str(), value.as_str())));
    Plan {
        run: command.to_vec(),
        env,
        ports: Vec::new(),
        // Without a port nobody comes to it; a network of its own needs one of its own all the same.
        address: match plan.network {
            Network::Private => plan.address,
            _ => PlannedAddress::Host,
        },
        logs: PlannedLogs::default(),
        health: None,
        balanced: None,
        shares_sockets: false,
        notify: None,
        log_socket: None,
        beside: Some(process),
        ..plan
    }
}
