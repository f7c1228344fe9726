//! Interfaces, destinations and routes as values of the document.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::decode::{Fault, Text};
use crate::error::quoted;
use crate::manifest::Destination;
use crate::shape::TextShape;

/// The kernel's `IFNAMSIZ` less its NUL.
const INTERFACE_BYTES: usize = 15;

/// A network interface by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InterfaceName(pub(crate) String);

impl Text for InterfaceName {
    const SHAPE: TextShape = TextShape {
        expected: "a network interface such as \"lo\" or \"eth0\"",
        pattern: Some("^[^\\s/:]{1,15}$"),
        examples: &["lo", "eth0"],
    };

    /// The kernel's own rule, `dev_valid_name`.
    fn read(text: &str) -> Result<Self, Fault> {
        if text.is_empty() || text == "." || text == ".." {
            return Err(Fault::default());
        }
        if text.parse::<IpAddr>().is_ok() {
            return Err(
                Fault::default().hint("name the interface, not its address; `ip link` lists them")
            );
        }
        if text.len() > INTERFACE_BYTES {
            let message = format!(
                "an interface's name has at most {INTERFACE_BYTES} bytes, found {}",
                quoted(text)
            );
            return Err(Fault::because(message).hint("`ip link` lists the interfaces"));
        }
        if text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control()) {
            let message =
                format!("an interface's name has no blank, / or :, found {}", quoted(text));
            return Err(Fault::because(message).hint("`ip link` lists the interfaces"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A destination with its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawDestination(pub(crate) Destination);

impl Text for RawDestination {
    const SHAPE: TextShape = TextShape {
        expected: "a destination such as \"smtp.example.com:587\" or \"10.0.0.0/8:5432\"",
        pattern: Some("^(\\*|\\[[0-9A-Fa-f:.]+\\](/[0-9]+)?:([0-9]+|\\*)|[^\\s:]+:([0-9]+|\\*))$"),
        examples: &["smtp.example.com:587", "10.0.0.0/8:5432", "[2001:db8::]/32:443"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if text == "*" {
            return Ok(Self(Destination::Anywhere));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return Err(scheme_fault(scheme, rest));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(Fault::because("an IPv6 destination stands in brackets")
                .hint(format!("write \"[{text}]:443\"")));
        }
        let (target, port) = match text.rsplit_once(':') {
            Some((target, port)) if !port.contains(']') => (target, port),
            _ => {
                return Err(Fault::because(format!(
                    "the destination {} has no port",
                    quoted(text)
                ))
                .hint(format!(
                    "write {}, or {} for any port",
                    quoted(&format!("{text}:443")),
                    quoted(&format!("{text}:*"))
                )));
            }
        };
        let port = read_port(port)?;
        read_target(target, port, text).map(Self)
    }
}

fn scheme_fault(scheme: &str, rest: &str) -> Fault {
    let host = rest.split('/').next().unwrap_or_default();
    let port = match scheme {
        _ if host.contains(':') => "",
        "http" | "ws" => ":80",
        "redis" => ":6379",
        "postgres" | "postgresql" => ":5432",
        "mysql" => ":3306",
        _ => ":443",
    };
    Fault::because("a destination is a host and a port, not a URL")
        .hint(format!("write {}", quoted(&format!("{host}{port}"))))
}

fn read_port(text: &str) -> Result<Option<u16>, Fault> {
    if text == "*" {
        return Ok(None);
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(Some(port)),
        _ => Err(Fault::because(format!(
            "expected a port from 1 to 65535 or *, found {}",
            quoted(text)
        ))),
    }
}

fn read_target(target: &str, port: Option<u16>, text: &str) -> Result<Destination, Fault> {
    let behind = port.map_or_else(|| "*".to_owned(), |port| port.to_string());
    if target == "*" {
        return Err(Fault::default().hint(format!(
            "write \"0.0.0.0/0:{behind}\" and \"[::]/0:{behind}\", or \"*\" for everything"
        )));
    }
    if let Some(inner) = target.strip_prefix('[') {
        let Some((address, prefix)) = inner.split_once(']') else { return Err(Fault::default()) };
        let address: Ipv6Addr = address.parse().map_err(|_| no_address(address, "IPv6"))?;
        return network(address.into(), prefix.strip_prefix('/'), prefix.is_empty(), port);
    }
    if target.contains(':') {
        let bare = target.split('/').next().unwrap_or_default();
        let fault = Fault::because("an IPv6 destination stands in brackets");
        return Err(match bare.parse::<Ipv6Addr>() {
            Ok(_) => {
                let prefix = &target[bare.len()..];
                fault.hint(format!("write {}", quoted(&format!("[{bare}]{prefix}:{behind}"))))
            }
            Err(_) => Fault::default(),
        });
    }
    let (address, prefix) = match target.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (target, None),
    };
    let last_label = address.rsplit('.').next().unwrap_or_default();
    if prefix.is_some() || last_label.bytes().all(|b| b.is_ascii_digit()) {
        let address: Ipv4Addr = address.parse().map_err(|_| no_address(address, "IPv4"))?;
        return network(address.into(), prefix, prefix.is_none(), port);
    }
    let name = host_name(target).map_err(|fault| match fault.hint {
        None if text.contains('*') => fault.hint("name each host: patterns cannot be resolved"),
        _ => fault,
    })?;
    Ok(Destination::Host { name, port })
}

fn no_address(text: &str, family: &str) -> Fault {
    Fault::because(format!("{} is no {family} address", quoted(text)))
}

fn network(
    address: IpAddr,
    prefix: Option<&str>,
    is_single: bool,
    port: Option<u16>,
) -> Result<Destination, Fault> {
    let most: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None if is_single => most,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            let length = digits.parse().ok().filter(|length| *length <= most);
            length.ok_or_else(|| {
                Fault::because(format!(
                    "expected a prefix length up to {most}, found {}",
                    quoted(digits)
                ))
            })?
        }
        _ => return Err(Fault::default()),
    };
    let network = masked(address, prefix);
    if network != address {
        let behind = port.map_or_else(|| "*".to_owned(), |port| port.to_string());
        let shown = match network {
            IpAddr::V4(network) => network.to_string(),
            IpAddr::V6(network) => format!("[{network}]"),
        };
        return Err(Fault::because(format!("{address}/{prefix} has bits set behind the prefix"))
            .hint(format!("write \"{shown}/{prefix}:{behind}\"")));
    }
    Ok(Destination::Network { address, prefix, port })
}

/// The address with every bit behind the prefix cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

/// A host name (RFC 1123, section 2.1) in lower case.
pub(crate) fn host_name(text: &str) -> Result<String, Fault> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Fault::because(format!("{} is no host name", quoted(text))))
}

/// Host and path prefix that the balancer sends to a service.
#[derive(Debug, Clone)]
pub(crate) struct Route(pub(crate) String);

impl Text for Route {
    const SHAPE: TextShape = TextShape {
        expected: "a route such as \"shop.example.com\" or \"example.com/shop\"",
        pattern: Some("^[A-Za-z0-9.-]+(/[!-~]*)?$"),
        examples: &["shop.example.com", "example.com/shop"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if let Some((_, rest)) = text.split_once("://") {
            return Err(
                Fault::because("a route has no scheme").hint(format!("write {}", quoted(rest)))
            );
        }
        let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        if host.is_empty() {
            return Err(Fault::because("a route starts with a host name")
                .hint(format!("write {}", quoted(&format!("shop.example.com{path}")))));
        }
        if let Some((name, _)) = host.split_once(':') {
            return Err(Fault::because("a route has no port: the balancer's front listens for it")
                .hint(format!("write {}", quoted(&format!("{name}{path}")))));
        }
        let host = host_name(host)?;
        if !path.chars().all(|c| c.is_ascii_graphic()) {
            return Err(Fault::because(
                "a route's path has printable ASCII characters only, no blanks",
            ));
        }
        if path.split('/').any(|part| part == "..") || path.contains(['?', '#']) {
            return Err(Fault::because("a route's path is a plain prefix, without .., ? and #"));
        }
        Ok(Self(format!("{host}{path}")))
    }
}
