//! Telling systemd-resolved who answers for the domain (org.freedesktop.resolve1(5)).
//!
//! It takes a domain's server for a device, and not for the loopback one. So there is a device for
//! this, which leads nowhere. Invariant: what is said is about that device alone, and is gone with it,
//! at the next boot at the latest: no file is written, and nothing that somebody else told it changes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use host_sys::creds;

use super::{DOMAIN, PLACE};
use crate::bus::call::{Call, Writer};
use crate::bus::reply::{Kind, Received};
use crate::bus::{Bus, BusError, SYSTEM_BUS, hello};
use crate::network::link::{LinkError, Links};

/// The device.
pub const DEVICE: &str = "hostctl-names";
/// Its address, for a device without one counts for nothing: the IPv4 dummy address (RFC 7600).
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
const RESOLVED: &str = "org.freedesktop.resolve1";
/// How long it gets. It answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why it was not told.
#[derive(Debug)]
pub enum AnnounceError {
    /// The device can't be made.
    Device(LinkError),
    /// The bus is not reached.
    Bus(BusError),
    /// It is not there, or refuses: the error's name and text.
    Refused(String, String),
}

impl fmt::Display for AnnounceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnnounceError::Device(error) => error.fmt(f),
            AnnounceError::Bus(error) => {
                write!(f, "systemd-resolved is not reached at {SYSTEM_BUS}: {error}")
            }
            AnnounceError::Refused(name, text) => {
                write!(f, "systemd-resolved was not told: {text} ({name})")
            }
        }
    }
}

impl std::error::Error for AnnounceError {}

impl From<LinkError> for AnnounceError {
    fn from(error: LinkError) -> Self {
        AnnounceError::Device(error)
    }
}

impl From<BusError> for AnnounceError {
    fn from(error: BusError) -> Self {
        AnnounceError::Bus(error)
    }
}

/// Tell it; again as often as one likes. For root. Waits ten seconds at most.
///
/// # Errors
/// [`AnnounceError`].
pub fn announce() -> Result<(), AnnounceError> {
    let (uid, _) = creds::effective();
    let mut bus = Bus::connect(Path::new(SYSTEM_BUS), uid, Instant::now() + PATIENCE)?;
    // Where it does not run, no device is made.
    [hello(), owner()].iter().try_for_each(|call| ask(&mut bus, call))?;
    let index = device()?;
    calls(index).iter().try_for_each(|call| ask(&mut bus, call))
}

fn ask(bus: &mut Bus, call: &Call) -> Result<(), AnnounceError> {
    let serial = bus.send(call)?;
    loop {
        if let Some(answered) = answer(&bus.receive()?, serial) {
            return answered;
        }
    }
}

/// Whether it is on the bus: an error if not.
fn owner() -> Call {
    let mut body = Writer::default();
    body.text(RESOLVED);
    Call { member: "GetNameOwner", signature: "s", body, ..hello() }
}

/// The number of the device, which is made if it is not there.
fn device() -> Result<u32, LinkError> {
    let links = Links::open()?;
    let index = match links.index(DEVICE)? {
        Some(index) => index,
        None => {
            links.create_dummy(DEVICE)?;
            links.index(DEVICE)?.unwrap_or_default()
        }
    };
    links.add_address(index, IpAddr::V4(ADDRESS))?;
    links.set_up(index)?;
    Ok(index)
}

/// What is said about the device with this number.
fn calls(index: u32) -> [Call; 3] {
    let about = |member, signature, fill: fn(&mut Writer)| {
        let mut body = Writer::default();
        body.index(index);
        fill(&mut body);
        Call {
            destination: RESOLVED,
            path: "/org/freedesktop/resolve1",
            interface: "org.freedesktop.resolve1.Manager",
            member,
            signature,
            body,
        }
    };
    [
        // With a port, since systemd 246.
        about("SetLinkDNSEx", "ia(iayqs)", |body| body.servers(&[PLACE])),
        // For routing alone: no name is tried with it behind.
        about("SetLinkDomains", "ia(sb)", |body| body.flags(&[(DOMAIN, true)])),
        about("SetLinkDefaultRoute", "ib", |body| body.flag(false)),
    ]
}

/// What a message says about the call with this serial, if it is about that.
fn answer(received: &Received, serial: u32) -> Option<Result<(), AnnounceError>> {
    match received.kind {
        _ if received.reply_to != serial => None,
        Kind::Return => Some(Ok(())),
        Kind::Error => {
            let text = received.arguments().text().unwrap_or_default();
            Some(Err(AnnounceError::Refused(received.error.clone(), text)))
        }
        _ => None,
    }
}
