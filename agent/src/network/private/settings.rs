//! Settings of network devices, as files below /proc/sys/net
//! (Documentation/networking/ip-sysctl).
//!
//! Invariant: they are those of the network namespace the thread is in.

use std::io;
use std::path::{Path, PathBuf};

use super::PrivateError;
use super::ruleset::PREFIX;

const IPV4: &str = "/proc/sys/net/ipv4/conf";
const IPV6: &str = "/proc/sys/net/ipv6/conf";

/// A setting of IPv4 for a device, for `all`, or for `default`: devices to come.
pub(super) fn ipv4(device: &str, key: &str) -> PathBuf {
    Path::new(IPV4).join(device).join(key)
}

/// The same of IPv6.
pub(super) fn ipv6(device: &str, key: &str) -> PathBuf {
    Path::new(IPV6).join(device).join(key)
}

/// Whether a setting is there and not 0.
pub(super) fn is_on(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.trim_end() != "0")
}

/// Change a setting.
pub(super) fn set(path: PathBuf, value: &str) -> Result<(), PrivateError> {
    std::fs::write(&path, value).map_err(|error| PrivateError::Setting(path, error))
}

/// Whether devices to come will have IPv6.
pub(super) fn has_ipv6() -> bool {
    let disabled = ipv6("default", "disable_ipv6");
    disabled.exists() && !is_on(&disabled)
}

/// Interfaces of the host by name, loopback and the ends of instances left out.
pub(super) fn interfaces() -> Result<Vec<String>, PrivateError> {
    let failed = |error: io::Error| PrivateError::Setting(IPV4.into(), error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(IPV4).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if !matches!(&*name, "all" | "default" | "lo") && !name.starts_with(PREFIX) {
            names.push(name);
        }
    }
    Ok(names)
}
