//! The port offset: the same manifest, moved aside so that a second copy cannot touch the first.
//!
//! Invariant: after an offset no port, and no reference to one, is the same as before it. What
//! derives from the name and the ports (managed directories, `$PORT`, `$DB_URL`) moves with them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Diagnostic, Diagnostics};
use crate::manifest::{Destination, Manifest, Port, Service};

impl Manifest {
    /// Moves every port of the app by `n`, its own loopback destinations with them, and puts `+n`
    /// behind its name. An offset already there is added to; 0 changes nothing.
    ///
    /// # Errors
    /// Each port that would be past 65535, with the sum.
    pub fn offset(mut self, n: u16) -> Result<Self, Diagnostics> {
        if n == 0 {
            return Ok(self);
        }
        let mut wrong = Vec::new();
        let total = self.port_offset.checked_add(n).unwrap_or_else(|| {
            let sum = u32::from(self.port_offset) + u32::from(n);
            wrong.push(Diagnostic::new("", format!("the port offset {sum} is past 65535")));
            u16::MAX
        });
        let own: Vec<u16> =
            self.services.iter().flat_map(|one| &one.ports).map(|one| one.port).collect();
        let short_form = self.short_form;
        for service in &mut self.services {
            for at in 0..service.ports.len() {
                let key = key_of(service, at, short_form);
                move_port(&mut service.ports[at], n, key, &mut wrong);
            }
            for destination in service.access.connect.iter_mut().flatten() {
                move_destination(destination, n, &own);
            }
        }
        if let Some(wrong) = Diagnostics::new(wrong) {
            return Err(wrong);
        }
        self.name = self.name.with_offset(total);
        self.port_offset = total;
        Ok(self)
    }
}

/// The key the port is written under.
fn key_of(service: &Service, at: usize, short_form: bool) -> String {
    let key = match &service.ports[at].name {
        Some(name) => format!("ports.{name}"),
        None => "port".to_owned(),
    };
    if short_form { key } else { format!("services.{}.{key}", service.name) }
}

fn move_port(port: &mut Port, n: u16, key: String, wrong: &mut Vec<Diagnostic>) {
    match port.port.checked_add(n) {
        Some(moved) => {
            port.port = moved;
            move_listen(port, n, key, wrong);
        }
        None => {
            let sum = u32::from(port.port) + u32::from(n);
            let message = format!("{} + {n} = {sum} is past 65535", port.port);
            let most = u16::MAX - port.port;
            let hint = format!("the largest offset for this port is {most}");
            wrong.push(Diagnostic::new(key, message).with_hint(hint));
        }
    }
}

/// Moves the place where clients find a port.
fn move_listen(port: &mut Port, n: u16, key: String, wrong: &mut Vec<Diagnostic>) {
    let Some(listen) = &mut port.listen else { return };
    match listen.port.checked_add(n) {
        Some(moved) => listen.port = moved,
        None => {
            let sum = u32::from(listen.port) + u32::from(n);
            let message = format!("{} + {n} = {sum} is past 65535", listen.port);
            let most = u16::MAX - listen.port;
            let hint = format!("the largest offset for this port is {most}");
            wrong.push(Diagnostic::new(format!("{key}.listen"), message).with_hint(hint));
        }
    }
}

/// Moves a destination that is one of the app's own ports on loopback. Past 65535 it stays: the
/// port itself is then an error already.
fn move_destination(destination: &mut Destination, n: u16, own: &[u16]) {
    let (is_loopback, port) = match destination {
        Destination::Anywhere => return,
        Destination::Network { address, prefix, port } => (is_loopback(*address, *prefix), port),
        Destination::Host { name, port } => (name == "localhost", port),
    };
    if let Some(number) = port
        && is_loopback
        && own.contains(number)
    {
        *number = number.saturating_add(n);
    }
}

/// Whether every address of the network is one of the loopback interface.
fn is_loopback(address: IpAddr, prefix: u8) -> bool {
    match address {
        IpAddr::V4(v4) => prefix >= 8 && v4.octets()[0] == Ipv4Addr::LOCALHOST.octets()[0],
        IpAddr::V6(v6) => prefix == 128 && v6 == Ipv6Addr::LOCALHOST,
    }
}
