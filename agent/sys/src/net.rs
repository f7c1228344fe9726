//! The host's name and its loopback device, as far as new namespaces need them.

use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::Result;
use crate::raw::check;

/// Bring the loopback device of this network namespace up (netdevice(7)); the kernel then gives it
/// 127.0.0.1 and ::1.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN over the namespace.
pub fn loopback_up() -> Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: ifreq is plain data for which all zero bytes are a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *slot = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    let request = &raw const request;
    // SAFETY: SIOCSIFFLAGS reads an ifreq with a NUL-terminated name, which `request` is.
    check(libc::c_long::from(unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, request)
    }))?;
    Ok(())
}

/// The index of an interface of this network namespace; `None` if it has none of this name.
pub fn interface_index(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

/// The names of the interfaces of this network namespace.
pub fn interface_names() -> Vec<String> {
    let all = nix::net::if_::if_nameindex();
    let names = all.iter().flat_map(|all| all.iter());
    names.map(|one| one.name().to_string_lossy().into_owned()).collect()
}

/// The addresses of an interface of this network namespace.
pub fn interface_addresses(name: &str) -> Vec<IpAddr> {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    all.filter(|one| one.interface_name == name)
        .filter_map(|one| {
            let address = one.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
        })
        .collect()
}

/// Set the host name of this uts namespace, at most 64 bytes.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN over the namespace.
pub fn set_hostname(name: &str) -> Result<()> {
    nix::unistd::sethostname(name)
}
