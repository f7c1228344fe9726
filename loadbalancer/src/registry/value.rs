//! Values that are right by their type.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// How much a backend counts for beside the others: 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

/// A share of all connections: 1 to 99.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

/// Where a backend is reached: one host's address, and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(SocketAddr);

/// For how long a client stays with its backend after its last new connection. The table has a
/// chain for each, so there are few, and what is asked for is rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Affinity {
    /// A minute.
    Minute,
    /// Ten minutes.
    TenMinutes,
    /// An hour.
    Hour,
    /// Three hours.
    ThreeHours,
    /// A day.
    Day,
}

/// Why a value is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueError {
    /// Not between 1 and 1000.
    Weight(u32),
    /// Not between 1 and 99.
    Percent(u32),
    /// No single host's address, or no port.
    Target(SocketAddr),
    /// An address that means every host itself: what is redirected there from outside never
    /// arrives (and must not: CVE-2020-8558).
    Loopback(SocketAddr),
    /// Longer than a day, or no time.
    Affinity(u32),
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueError::Weight(found) => write!(f, "a weight is 1 to 1000, not {found}"),
            ValueError::Percent(found) => write!(f, "a share is 1 to 99 percent, not {found}"),
            ValueError::Target(found) => {
                write!(f, "a backend is one host's address and a port, not {found}")
            }
            ValueError::Loopback(found) => {
                write!(f, "a backend needs an address that other devices can send to, not {found}")
            }
            ValueError::Affinity(found) => {
                write!(f, "affinity lasts 1 second to a day, not {found} seconds")
            }
        }
    }
}

impl std::error::Error for ValueError {}

impl Weight {
    /// What a backend has if nothing else is said.
    pub const USUAL: Weight = Weight(100);

    /// Check a number.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn new(number: u32) -> Result<Weight, ValueError> {
        match u16::try_from(number) {
            Ok(weight @ 1..=1000) => Ok(Weight(weight)),
            _ => Err(ValueError::Weight(number)),
        }
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl Percent {
    /// Check a number.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn new(number: u32) -> Result<Percent, ValueError> {
        match u8::try_from(number) {
            Ok(percent @ 1..=99) => Ok(Percent(percent)),
            _ => Err(ValueError::Percent(number)),
        }
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Target {
    /// Check an address.
    ///
    /// # Errors
    /// When it is no single host's, or means every host itself.
    pub fn new(address: SocketAddr) -> Result<Target, ValueError> {
        let ip = address.ip();
        let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
        if ip.is_unspecified() || ip.is_multicast() || broadcast || address.port() == 0 {
            return Err(ValueError::Target(address));
        }
        if ip.to_canonical().is_loopback() {
            return Err(ValueError::Loopback(address));
        }
        Ok(Target(SocketAddr::new(ip.to_canonical(), address.port())))
    }

    /// The address.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

impl Affinity {
    /// All of them, shortest first.
    pub const ALL: [Affinity; 5] = [
        Affinity::Minute,
        Affinity::TenMinutes,
        Affinity::Hour,
        Affinity::ThreeHours,
        Affinity::Day,
    ];

    /// The shortest that lasts as long.
    ///
    /// # Errors
    /// When none does, or no time is asked for.
    pub fn lasting(seconds: u32) -> Result<Affinity, ValueError> {
        let long = |affinity: &Affinity| affinity.seconds() >= seconds;
        let found = Affinity::ALL.into_iter().find(long).filter(|_| seconds > 0);
        found.ok_or(ValueError::Affinity(seconds))
    }

    /// How long it lasts.
    pub fn seconds(self) -> u32 {
        match self {
            Affinity::Minute => 60,
            Affinity::TenMinutes => 600,
            Affinity::Hour => 3_600,
            Affinity::ThreeHours => 10_800,
            Affinity::Day => 86_400,
        }
    }
}
