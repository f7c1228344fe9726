//! Why an instance's network is not there.

use std::io;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use host_sys::Errno;
use host_sys::netlink::Refusal;

use super::super::link::LinkError;
use crate::store::StoreError;

/// What was being done.
#[derive(Debug)]
pub enum PrivateError {
    /// An interface can't have this name.
    Interface(String),
    /// A way inward leads to an address that is not of the loopback device.
    Inward(SocketAddrV4),
    /// Making or entering the network namespace.
    Namespace(Errno),
    /// Devices, addresses, routes.
    Link(LinkError),
    /// A device that was just made is gone again.
    Vanished(String),
    /// Writing this setting.
    Setting(PathBuf, io::Error),
    /// Loading this object into nftables.
    Rules(String, Refusal),
    /// The directory of records.
    Records(StoreError),
    /// A record of forwarding that is switched on.
    Record(PathBuf, io::Error),
}

impl From<LinkError> for PrivateError {
    fn from(error: LinkError) -> Self {
        PrivateError::Link(error)
    }
}

impl std::fmt::Display for PrivateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PrivateError::Interface(name) => write!(f, "no interface can be called {name:?}"),
            PrivateError::Inward(to) => {
                write!(f, "{to} is not on the host's loopback device (127.0.0.0/8)")
            }
            PrivateError::Namespace(errno) => {
                write!(f, "make a network namespace: {}", errno.desc())
            }
            PrivateError::Link(error) => error.fmt(f),
            PrivateError::Vanished(device) => write!(f, "network device {device} vanished"),
            PrivateError::Setting(path, error) => write!(f, "set {}: {error}", path.display()),
            PrivateError::Rules(object, refusal) => write!(f, "nftables, {object}: {refusal}"),
            PrivateError::Records(error) => error.fmt(f),
            PrivateError::Record(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for PrivateError {}
