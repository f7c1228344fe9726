//! What can be leased, and which of it can't be held twice.
//!
//! Invariant: pure. Two keys that can be in each other's way always have the same [`Key::room`], so
//! whoever looks into one room has seen every clash.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use manifest_spec::manifest::Protocol;

/// Longest name of a lock, in bytes.
const NAME_BYTES: usize = 255;

/// One thing that a holder can have for itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A port of this host. The unspecified address of either family means all addresses.
    Port {
        /// TCP and UDP count for themselves.
        protocol: Protocol,
        /// Local address.
        address: IpAddr,
        /// Port number.
        number: u16,
    },
    /// An address on the loopback interface.
    Address(IpAddr),
    /// The name of an instance, `hello+3.main.1`.
    Name(String),
    /// A directory with one writer.
    Data(PathBuf),
    /// A lock of the user's.
    Lock(String),
    /// The same, for up to `max` holders at once.
    Slot {
        /// The lock's name.
        name: String,
        /// How many may hold it.
        max: u32,
    },
}

impl Key {
    /// A port on every address, IPv4 and IPv6.
    pub fn port(protocol: Protocol, number: u16) -> Key {
        Key::Port { protocol, address: Ipv6Addr::UNSPECIFIED.into(), number }
    }

    /// A lock for one holder, or for several.
    ///
    /// # Errors
    /// What is wrong with the name or the number.
    pub fn lock(name: &str, max: u32) -> Result<Key, KeyError> {
        let valid = !name.is_empty()
            && name.len() <= NAME_BYTES
            && !name.contains(|c: char| c.is_control() || c.is_whitespace() || c == '/');
        match (valid, max) {
            (false, _) => Err(KeyError(format!("{name:?} is not a name of a lock"))),
            (_, 0) => Err(KeyError("a lock for 0 holders could never be held".into())),
            (_, 1) => Ok(Key::Lock(name.to_owned())),
            (_, max) => Ok(Key::Slot { name: name.to_owned(), max }),
        }
    }

    /// What this key shares with every key it could clash with.
    pub fn room(&self) -> String {
        match self {
            Key::Port { protocol, number, .. } => Key::port(*protocol, *number).to_string(),
            Key::Slot { name, .. } => Key::Lock(name.clone()).to_string(),
            key => key.to_string(),
        }
    }

    /// Whether the two can't be held by two holders, slots left aside.
    fn excludes(&self, other: &Key) -> bool {
        match (self, other) {
            (Key::Port { address: one, .. }, Key::Port { address: two, .. }) => {
                self.room() == other.room()
                    && (one == two || one.is_unspecified() || two.is_unspecified())
            }
            _ => self.room() == other.room(),
        }
    }

    /// How many may hold it at once.
    fn max(&self) -> usize {
        if let Key::Slot { max, .. } = self { *max as usize } else { 1 }
    }

    /// Which of the keys that are held stand in this one's way: none, or all that share its place.
    pub fn in_the_way<'a, T>(&self, held: &'a [T], key: impl Fn(&T) -> &Key) -> Vec<&'a T> {
        let sharing: Vec<&T> = held.iter().filter(|one| self.excludes(key(one))).collect();
        // Who asked for fewer neighbours keeps that promise when somebody else allows more.
        let max = sharing.iter().map(|one| key(one).max()).fold(self.max(), usize::min);
        if sharing.len() >= max { sharing } else { Vec::new() }
    }

    /// As a sentence names it: `port 8080/tcp`.
    pub fn phrase(&self) -> String {
        match self {
            Key::Slot { name, max } => format!("lock {name} (max {max})"),
            key => key.to_string().replacen(':', " ", 1),
        }
    }
}

/// As `hostctl lease` writes and reads it: `port:8080/tcp`, `slot:build/2`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Port { protocol, address, number } => {
                let protocol = protocol_name(*protocol);
                if address.is_unspecified() {
                    write!(f, "port:{number}/{protocol}")
                } else {
                    write!(f, "port:{}/{protocol}", SocketAddr::new(*address, *number))
                }
            }
            Key::Address(address) => write!(f, "address:{address}"),
            Key::Name(name) => write!(f, "name:{name}"),
            Key::Data(path) => write!(f, "data:{}", path.display()),
            Key::Lock(name) => write!(f, "lock:{name}"),
            Key::Slot { name, max } => write!(f, "slot:{name}/{max}"),
        }
    }
}

fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError(pub String);

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Key, KeyError> {
        let wrong = || KeyError(format!("{text:?} is not a key"));
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            "port" => port(rest).ok_or_else(wrong),
            "address" => rest.parse().map(Key::Address).map_err(|_| wrong()),
            "name" if !rest.is_empty() => Ok(Key::Name(rest.to_owned())),
            "data" if rest.starts_with('/') => Ok(Key::Data(rest.into())),
            "lock" => Key::lock(rest, 1),
            "slot" => {
                let (name, max) = rest.split_once('/').ok_or_else(wrong)?;
                let max = max.parse().ok().filter(|max| *max > 1).ok_or_else(wrong)?;
                Key::lock(name, max)
            }
            _ => Err(wrong()),
        }
    }
}

fn port(text: &str) -> Option<Key> {
    let (place, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    if let Ok(number) = place.parse() {
        return Some(Key::port(protocol, number));
    }
    let place: SocketAddr = place.parse().ok()?;
    Some(Key::Port { protocol, address: place.ip(), number: place.port() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = Key> {
        let address = prop::sample::select(vec!["0.0.0.0", "::", "127.0.0.1", "::1", "10.0.0.1"]);
        let protocol = prop::sample::select(vec![Protocol::Tcp, Protocol::Udp]);
        let port = (protocol, address, 1_u16..4).prop_map(|(protocol, address, number)| {
            Key::Port { protocol, address: address.parse().unwrap(), number }
        });
        let name = "[a-c]{1,2}";
        prop_oneof![
            port,
            name.prop_map(Key::Name),
            prop::sample::select(vec!["10.99.0.1", "fd99::1"])
                .prop_map(|address| Key::Address(address.parse().unwrap())),
            name.prop_map(|name| Key::Data(format!("/{name}").into())),
            (name, 1_u32..4).prop_map(|(name, max)| Key::lock(&name, max).unwrap()),
        ]
    }

    fn blocked(wanted: &str, held: &[&str]) -> usize {
        let held: Vec<Key> = held.iter().map(|key| key.parse().unwrap()).collect();
        wanted.parse::<Key>().unwrap().in_the_way(&held, |key| key).len()
    }

    #[test]
    fn a_wildcard_port_clashes_with_every_address() {
        let own = ["port:80/tcp", "port:127.0.0.1:80/tcp", "port:[::1]:80/tcp"];
        for address in own {
            assert_eq!(blocked("port:80/tcp", &[address]), 1, "{address}");
            assert_eq!(blocked(address, &["port:0.0.0.0:80/tcp"]), 1, "{address}");
            assert_eq!(blocked(address, &["port:80/udp", "port:81/tcp"]), 0, "{address}");
        }
        assert_eq!(blocked("port:127.0.0.1:80/tcp", &["port:[::1]:80/tcp"]), 0);
    }

    #[test]
    fn slots_count_and_the_smallest_promise_wins() {
        assert_eq!(blocked("slot:a/3", &["slot:a/3", "slot:a/3"]), 0);
        assert_eq!(blocked("slot:a/3", &["slot:a/3", "slot:a/3", "slot:a/3"]), 3);
        assert_eq!(blocked("slot:a/9", &["slot:a/9", "slot:a/2"]), 2);
        assert_eq!(blocked("lock:a", &["slot:a/9"]), 1);
        assert_eq!(blocked("slot:a/9", &["lock:a"]), 1);
        assert_eq!(blocked("slot:a/2", &["slot:b/2", "slot:b/2"]), 0);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "port", "port:", "port:99999/tcp", "port:80/sctp", "lock:", "lock:a b"] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
        for text in ["slot:a", "slot:a/0", "slot:a/1", "data:relative", "name:", "other:x"] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_read_as_it_is_written(key in keys()) {
            let read: Key = key.to_string().parse().unwrap();
            prop_assert_eq!(read.to_string(), key.to_string());
        }

        #[test]
        fn clashes_are_mutual_and_stay_in_a_room(one in keys(), two in keys()) {
            let clash = |a: &Key, b: &Key| !a.in_the_way(std::slice::from_ref(b), |key| key).is_empty();
            prop_assert_eq!(clash(&one, &two), clash(&two, &one));
            prop_assert!(!clash(&one, &two) || one.room() == two.room());
        }
    }
}
