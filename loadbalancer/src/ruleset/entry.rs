//! What one service puts into the table.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::shape::{
    BACKENDS, IGNORE, PORT_BACKENDS, PORTS, REFUSE, SERVICES, STICKY, STICKY_PORTS, learn_chain,
    own, pick_chain,
};
use crate::nft::{Datum, Element, Family, Value};
use crate::policy::{Candidate, Choice, Count};
use crate::registry::{Affinity, At, Backend, BackendId, Listen, Place, Service, Unserved};

/// A service as far as the table is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) listens: Vec<Listen>,
    choice: Choice,
    count: Count,
    slots4: Vec<SocketAddr>,
    slots6: Vec<SocketAddr>,
    pub(super) affinity: Option<Affinity>,
    unserved: Unserved,
    /// Of all its backends, also of those that do not serve.
    pub(super) addresses: BTreeSet<(Place, IpAddr)>,
}

impl Entry {
    pub(super) fn of(service: &Service) -> Entry {
        let policy = service.policy();
        let of = |family: Family| {
            let ours = |(_, backend): &(&BackendId, &Backend)| {
                Family::of(backend.given().target.get().ip()) == family
            };
            service.serving().filter(ours).collect::<Vec<_>>()
        };
        let (four, six) = (of(Family::Ipv4), of(Family::Ipv6));
        let (four_seen, six_seen) = (candidates(&four), candidates(&six));
        // One chain serves both protocols, so both have as many slots.
        let count = policy.count(&four_seen).max(policy.count(&six_seen));
        let slots = |backends: &[(&BackendId, &Backend)], seen: &[Candidate<'_>]| {
            let slots = policy.slots(seen, count).into_iter();
            slots.map(|index| backends[index].1.given().target.get()).collect()
        };
        let given = service.backends().map(|(_, backend)| backend.given());
        Entry {
            listens: service.listens().to_vec(),
            choice: policy.choice(),
            count,
            slots4: slots(&four, &four_seen),
            slots6: slots(&six, &six_seen),
            affinity: service.affinity(),
            unserved: service.unserved(),
            addresses: given.map(|given| (given.place, given.target.get().ip())).collect(),
        }
    }

    pub(super) fn elements(&self) -> impl Iterator<Item = Element> + '_ {
        self.listens.iter().flat_map(|listen| self.of_listen(*listen))
    }

    /// The backends that get connections by IPv4, once each.
    pub(super) fn targets4(&self) -> BTreeSet<SocketAddr> {
        self.slots4.iter().copied().collect()
    }

    fn of_listen(&self, listen: Listen) -> Vec<Element> {
        let end = [Value::Protocol(listen.transport), Value::Port(listen.port.get())];
        let families: &[Family] = match listen.at {
            At::Any => &[Family::Ipv4, Family::Ipv6],
            At::Address(address) => &[Family::of(address)],
        };
        let (key, services, sticky) = match listen.at {
            At::Any => (end.to_vec(), PORTS, STICKY_PORTS),
            At::Address(address) => {
                let key = [&[Value::Address(address)], &end[..]].concat();
                (key, SERVICES.of(families[0]), STICKY)
            }
        };
        let mut elements = vec![Element {
            set: services.into(),
            key: key.clone(),
            data: Datum::Goto(self.chain(listen.at, families)),
        }];
        if let Some(affinity) = self.affinity
            && families.contains(&Family::Ipv4)
        {
            let data = Datum::Goto(learn_chain(affinity).into());
            elements.push(Element { set: sticky.into(), key: key.clone(), data });
        }
        for family in families {
            let backends = match listen.at {
                At::Any => PORT_BACKENDS.of(*family),
                At::Address(_) => BACKENDS.of(*family),
            };
            for (target, slot) in self.slots(*family).iter().zip(0..) {
                elements.push(Element {
                    set: backends.into(),
                    key: [&key[..], &[Value::Number(slot)]].concat(),
                    data: Datum::Data(vec![
                        Value::Address(target.ip()),
                        Value::Port(target.port()),
                    ]),
                });
            }
        }
        elements
    }

    fn chain(&self, at: At, families: &[Family]) -> Cow<'static, str> {
        if families.iter().all(|family| self.slots(*family).is_empty()) {
            return match self.unserved {
                Unserved::Refuse => REFUSE.into(),
                Unserved::Ignore => IGNORE.into(),
            };
        }
        pick_chain(at == At::Any, self.affinity.is_some(), self.count, self.choice).into()
    }

    fn slots(&self, family: Family) -> &[SocketAddr] {
        match family {
            Family::Ipv4 => &self.slots4,
            Family::Ipv6 => &self.slots6,
        }
    }
}

/// The element that says where a backend's address is.
pub(super) fn address(place: Place, ip: IpAddr) -> Element {
    let set = own(place).of(Family::of(ip));
    Element { set: set.into(), key: vec![Value::Address(ip)], data: Datum::Nothing }
}

fn candidates<'a>(backends: &[(&'a BackendId, &'a Backend)]) -> Vec<Candidate<'a>> {
    let one = |(id, backend): &(&'a BackendId, &'a Backend)| Candidate {
        id,
        weight: backend.given().weight,
        version: backend.given().version.as_deref(),
        connections: backend.connections(),
    };
    backends.iter().map(one).collect()
}
