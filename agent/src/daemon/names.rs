//! What `NAME.internal` is told: every service that hostd keeps, and where it is from this host.
//!
//! Invariant: a name is there as long as its service is deployed, whatever becomes of its instances.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use loadbalancer::registry::{At, Backend, Listen, Place, Service as Balanced};
use tokio::sync::watch;

use super::services::Service;
use super::world::World;
use crate::dns::responder::{Responder, serve_later};
use crate::dns::{DOMAIN, Found, Names, PLACE, PROBE, service_name};

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
        for (name, service) in self.balance.services() {
            names.add(&name.as_str().replace('+', "-"), places(service));
        }
        for app in self.apps.values() {
            let version = app.record.promoted.unwrap_or(app.record.target);
            let Some(version) = app.versions.get(&version) else { continue };
            // What has an address of its own for each instance is at none of the service's, but for
            // what the balancer leads there.
            let is_here = |service: &&Service| {
                let own = service.own_address && service.balanced.is_none();
                !service.ports.is_empty() && !own
            };
            for service in version.services.iter().filter(is_here) {
                let alone = version.services.len() == 1;
                let name = service_name(&app.record.name, &service.name, alone);
                // The balancer knows better, as long as it is to be found.
                if !matches!(names.find(&name), Found::Service(_)) {
                    names.add(&name, HERE);
                }
            }
        }
        names
    }
}

/// Where clients on this host find a service of the balancer. What is sent to another host must not
/// come from a loopback address, so there they ask at one that others know.
fn places(service: &Balanced) -> Vec<IpAddr> {
    let elsewhere = |backend: &Backend| backend.given().place == Place::Remote;
    let far = service.backends().any(|(_, backend)| elsewhere(backend));
    let of = |listen: &Listen| match listen.at {
        At::Address(address) => vec![address],
        At::Any if far => outward(),
        At::Any => HERE.into(),
    };
    service.listens().iter().flat_map(of).collect()
}

/// An address of this host that others know; the loopback ones where it has none.
fn outward() -> Vec<IpAddr> {
    let interfaces = host_sys::net::interface_names();
    let others = interfaces.iter().filter(|name| *name != "lo");
    let addresses = others.flat_map(|name| host_sys::net::interface_addresses(name));
    let is_known = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(_) => false,
    };
    addresses.into_iter().find(is_known).map_or_else(|| HERE.into(), |address| vec![address])
}

/// Where a service is that listens at every address of the host.
const HERE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
