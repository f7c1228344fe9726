//! What `NAME.internal` is told: every service that hostd keeps, and where it is from this host.
//!
//! Invariant: a name is there as long as its service is deployed, whatever becomes of its instances.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::sync::watch;

use super::services::Service;
use super::world::World;
use crate::dns::responder::{Responder, serve_later};
use crate::dns::{DOMAIN, Names, PLACE, PROBE, service_name};

/// Answer for the domain on this host, now or when the place for that is free.
pub(super) async fn answer(names: watch::Receiver<Names>, say: &mut dyn FnMut(&str)) {
    match Responder::bind(PLACE).await {
        Ok(responder) => drop(tokio::task::spawn_local(responder.serve(names))),
        Err(error) => {
            say(&format!("names below {DOMAIN} are not answered at {PLACE}: {error}"));
            tokio::task::spawn_local(serve_later(PLACE, names));
        }
    }
}

impl World {
    /// The names, as they are from now on.
    pub(super) fn names(&self) -> watch::Receiver<Names> {
        self.names.subscribe()
    }

    /// Tell the names anew, if they have changed.
    pub(super) fn tell_names(&self) {
        let names = self.known_names();
        self.names.send_if_modified(|known| {
            let changed = *known != names;
            if changed {
                *known = names;
            }
            changed
        });
    }

    fn known_names(&self) -> Names {
        let mut names = Names::default();
        names.add(PROBE, [PLACE.ip()]);
        for app in self.apps.values() {
            let version = app.record.promoted.unwrap_or(app.record.target);
            let Some(version) = app.versions.get(&version) else { continue };
            // What has an address of its own for each instance is at none of the service's.
            let is_here = |service: &&Service| !service.ports.is_empty() && !service.own_address;
            for service in version.services.iter().filter(is_here) {
                let alone = version.services.len() == 1;
                names.add(&service_name(&app.record.name, &service.name, alone), HERE);
            }
        }
        names
    }
}

/// Where a service is that listens at every address of the host.
const HERE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
