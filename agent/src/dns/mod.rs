//! Names of services as DNS: `NAME.internal` on this host.
//!
//! Owns the domain `internal` (reserved for this by ICANN, 2024) on a loopback address, and nothing
//! beyond it. Invariant: whoever asks on this host, and nobody else, is told the addresses that a
//! name had at that moment; what is asked about other domains is refused, so that no resolver takes
//! this for a way to them. Never forwards a question, never keeps an answer, never edits a file of
//! the host's: how a host comes to ask here is `docs/names.md`.
//!
//! | module | owns |
//! | --- | --- |
//! | [`message`] | questions and answers as bytes (RFC 1035, RFC 6891) |
//! | [`answer`] | what is answered: pure |
//! | [`responder`] | the sockets |
//! | [`resolved`] | telling systemd-resolved who answers |

pub mod answer;
pub mod message;
pub mod resolved;
pub mod responder;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The domain of all names.
pub const DOMAIN: &str = "internal";

/// Where the responder listens: an address of the loopback device that nobody else uses, and not port
/// 53, where it would keep a resolver of the host's that listens everywhere from starting. Every
/// resolver that can be told a domain's server can be told its port.
pub const PLACE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 99, 53)), 10053);

/// A name that is always there, and that no app can have: whoever finds it has a resolver that asks
/// here.
pub const PROBE: &str = "hostctl--here";

/// What a service is called, without the domain: the app's name, where it is the app's only one. A
/// copy by a port offset is another app, and a name has no plus.
#[must_use]
pub fn service_name(app: &str, service: &str, alone: bool) -> String {
    let app = app.replace('+', "-");
    if alone { app } else { format!("{app}.{service}") }
}

/// Names of services, without the domain, and where each is reached from this host.
///
/// For whoever fills it: the name is the registry's (`api`, `api.web`); its addresses are 127.0.0.1
/// and ::1 for a service that listens at every address of the host, else the addresses that it
/// listens at. A name stays as long as its service is registered, with or without a backend that
/// serves: an unknown name is a mistake, a service that is down is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names(BTreeMap<String, Vec<IpAddr>>);

/// What there is of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// A service, with its addresses.
    Service(&'a [IpAddr]),
    /// Nothing but names below it.
    Above,
    /// Nothing.
    Nothing,
}

impl Names {
    /// Say where a service is, beside what was said of it before.
    pub fn add(&mut self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let all = self.0.entry(name.to_ascii_lowercase()).or_default();
        for address in addresses {
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }

    /// Look a name up, without the domain, in lower case.
    #[must_use]
    pub fn find(&self, name: &str) -> Found<'_> {
        if let Some(addresses) = self.0.get(name) {
            return Found::Service(addresses);
        }
        let below =
            |other: &String| other.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        // Who is told that a name is not there may conclude that nothing is below (RFC 8020).
        if self.0.keys().any(below) { Found::Above } else { Found::Nothing }
    }

    /// All names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[IpAddr])> {
        self.0.iter().map(|(name, addresses)| (name.as_str(), addresses.as_slice()))
    }
}
