//! Where log records are sent: addresses, as text and as values.
//!
//! Invariant: what `Display` prints, [`SinkTarget::parse`] reads back as the same value; what can't be
//! an address is refused with what to write instead. Resolves no name and opens nothing.

use std::fmt;

use crate::command::Command;
use crate::decode::Fault;
use crate::error::quoted;
use crate::raw::network::host_name;
use crate::raw::paths::check_form;
use crate::suggest::did_you_mean;

/// What an address was expected to be.
pub(crate) const EXPECTED: &str = "a sink such as \"journal\" or \"file:log/app.log\"";

/// The kinds of sink, by the address's scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkTarget {
    /// `file:/path`; in a manifest relative paths start at its folder.
    File(String),
    /// `journal`: the host's journald.
    Journal,
    /// `syslog:…`: RFC 5424.
    Syslog(SyslogAddress),
    /// `loki+http(s)://…`.
    Loki(Endpoint),
    /// `otlp+http(s)://…`.
    Otlp(Endpoint),
    /// `http(s)://…`.
    Http(Endpoint),
    /// `exec:./program`.
    Exec(Command),
}

/// Who takes syslog messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogAddress {
    /// `syslog:unix:/dev/log`: a datagram socket, by its absolute path.
    Unix(String),
    /// `syslog:udp://host:port` (RFC 5426).
    Udp(HostPort),
    /// `syslog:tcp://host:port` (RFC 6587, octet counting).
    Tcp(HostPort),
}

/// A host and one of its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A host name or an address; one of IPv6 without its brackets.
    pub host: String,
    /// Its port, 1 to 65535.
    pub port: u16,
}

/// A URL of HTTP, without user, password and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it is `https`.
    pub is_secure: bool,
    /// A host name or an address; one of IPv6 without its brackets.
    pub host: String,
    /// As written; [`Endpoint::port_or_default`] has the scheme's where there is none.
    pub port: Option<u16>,
    /// Path and query as written: empty, or from the first `/` or `?` on.
    pub path: String,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AddressError {}

impl SinkTarget {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        read(text).map_err(|Fault { message, hint }| AddressError {
            message: message
                .unwrap_or_else(|| format!("expected {EXPECTED}, found {}", quoted(text))),
            hint,
        })
    }

    /// The scheme, for messages: `file`, `journal`, `syslog`, `loki`, `otlp`, `http`, `exec`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Journal => "journal",
            Self::Syslog(_) => "syslog",
            Self::Loki(_) => "loki",
            Self::Otlp(_) => "otlp",
            Self::Http(_) => "http",
            Self::Exec(_) => "exec",
        }
    }
}

impl Endpoint {
    /// Its port, or what its scheme has without one.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.is_secure { 443 } else { 80 })
    }

    /// The host as a URL and the header `Host` have it: an IPv6 address in brackets, the port where
    /// it was written.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => HostPort { host: self.host.clone(), port }.to_string(),
            None => bracketed(&self.host),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl fmt::Display for SyslogAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Udp(to) => write!(f, "udp://{to}"),
            Self::Tcp(to) => write!(f, "tcp://{to}"),
        }
    }
}

impl fmt::Display for SinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{path}"),
            Self::Journal => f.write_str("journal"),
            Self::Syslog(to) => write!(f, "syslog:{to}"),
            Self::Loki(to) => write!(f, "loki+{to}"),
            Self::Otlp(to) => write!(f, "otlp+{to}"),
            Self::Http(to) => to.fmt(f),
            Self::Exec(command) => write!(f, "exec:{command}"),
        }
    }
}

impl serde::Serialize for SinkTarget {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SinkTarget {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // What was made absolute has the folder's name in front, whatever that is made of.
        if let Some(path) = text.strip_prefix("file:/") {
            return Ok(Self::File(format!("/{path}")));
        }
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Reads an address of any kind.
pub(crate) fn read(text: &str) -> Result<SinkTarget, Fault> {
    if text == "journal" {
        return Ok(SinkTarget::Journal);
    }
    if let Some(path) = text.strip_prefix("file:") {
        return check_form(path).map(|()| SinkTarget::File(path.to_owned()));
    }
    if let Some(program) = text.strip_prefix("exec:") {
        return Command::parse(program)
            .map(SinkTarget::Exec)
            .map_err(|error| Fault { message: Some(error.to_string()), hint: error.hint() });
    }
    if let Some(rest) = text.strip_prefix("syslog:") {
        return syslog(rest).map(SinkTarget::Syslog);
    }
    let (kind, url): (fn(Endpoint) -> SinkTarget, _) = match text.split_once('+') {
        Some(("loki", url)) => (SinkTarget::Loki, url),
        Some(("otlp", url)) => (SinkTarget::Otlp, url),
        _ => (SinkTarget::Http, text),
    };
    let (is_secure, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err(Fault { message: None, hint: scheme_hint(text) }),
    };
    endpoint(is_secure, rest, text).map(kind)
}

fn scheme_hint(text: &str) -> Option<String> {
    if text.starts_with('/') || text.starts_with("./") {
        return Some(format!("write \"file:{text}\""));
    }
    let word = text.split(':').next()?;
    did_you_mean(word, ["journal", "file:", "syslog:", "exec:", "http:", "https:"]).or_else(|| {
        match word {
            "journald" | "systemd" => Some("did you mean \"journal\"?".to_owned()),
            "loki" | "otlp" => Some(format!("did you mean \"{word}+http://…\"?")),
            _ => Some(
                "a sink is journal, file:…, syslog:…, loki+http://…, otlp+http://…, http://… or exec:…"
                    .to_owned(),
            ),
        }
    })
}

const SYSLOG_FORMS: &str = "write \"syslog:unix:/dev/log\", \"syslog:udp://127.0.0.1:514\" or \"syslog:tcp://127.0.0.1:601\"";

fn syslog(rest: &str) -> Result<SyslogAddress, Fault> {
    if let Some(path) = rest.strip_prefix("unix:") {
        let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
        check_form(path)?;
        if !path.starts_with('/') {
            return Err(Fault::because(format!(
                "the socket's path {} is not absolute",
                quoted(path)
            ))
            .hint("write the whole path, as in \"syslog:unix:/dev/log\""));
        }
        return Ok(SyslogAddress::Unix(path.to_owned()));
    }
    let (kind, to): (fn(HostPort) -> SyslogAddress, _) = match rest.split_once("://") {
        Some(("udp", to)) => (SyslogAddress::Udp, to),
        Some(("tcp", to)) => (SyslogAddress::Tcp, to),
        Some(("tls", _)) => {
            let fault = Fault::because("syslog over TLS is not spoken");
            return Err(
                fault.hint("send it to a relay on this host, \"syslog:tcp://127.0.0.1:601\"")
            );
        }
        _ if rest.starts_with('/') => {
            let fault = Fault::because("the address does not say what kind of socket that is");
            return Err(fault.hint(format!("write {}", quoted(&format!("syslog:unix:{rest}")))));
        }
        _ => {
            let message = format!("{} is no address of syslog", quoted(&format!("syslog:{rest}")));
            return Err(Fault::because(message).hint(SYSLOG_FORMS));
        }
    };
    let to = to.strip_suffix('/').unwrap_or(to);
    let (host, port) = authority(to)?;
    let Some(port) = port else {
        let scheme = rest.split("://").next().unwrap_or_default();
        let like = format!("syslog:{scheme}://{}:514", bracketed(&host));
        return Err(Fault::because(format!("the address {} has no port", quoted(to)))
            .hint(format!("write {}", quoted(&like))));
    };
    Ok(kind(HostPort { host, port }))
}

fn endpoint(is_secure: bool, rest: &str, whole: &str) -> Result<Endpoint, Fault> {
    let (before, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if !rest.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Fault::because("an address has printable ASCII characters only")
            .hint("write other characters as %XX"));
    }
    if before.contains('@') {
        return Err(Fault::because("an address has no user and no password")
            .hint("write headers = { Authorization = \"…\" } beside to"));
    }
    if path.contains('#') {
        return Err(Fault::because("an address has no fragment: no server is told it")
            .hint("leave out everything from # on"));
    }
    if before.is_empty() {
        let scheme = &whole[..whole.len() - rest.len()];
        return Err(Fault::because(format!("the address {} has no host", quoted(whole)))
            .hint(format!("write an address such as \"{scheme}127.0.0.1:3100{path}\"")));
    }
    let (host, port) = authority(before)?;
    Ok(Endpoint { is_secure, host, port, path: path.to_owned() })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn authority(text: &str) -> Result<(String, Option<u16>), Fault> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, behind)) => {
            let address = host.parse::<std::net::Ipv6Addr>();
            let address = address.map_err(|_| {
                Fault::because(format!("{} is no IPv6 address", quoted(host)))
                    .hint("write one such as \"[::1]\"")
            })?;
            (address.to_string(), behind.strip_prefix(':').or((!behind.is_empty()).then_some("")))
        }
        None if text.matches(':').count() > 1 => {
            let fault = Fault::because("an IPv6 address stands in brackets");
            let bare = text.parse::<std::net::Ipv6Addr>();
            return Err(match bare {
                Ok(_) => fault.hint(format!("write \"[{text}]\"")),
                Err(_) => fault,
            });
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host_name(host)?, Some(port)),
            None => (host_name(text)?, None),
        },
    };
    let number = |port: &str| match port.parse::<u16>() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => {
            let message = format!("expected a port from 1 to 65535, found {}", quoted(port));
            Err(Fault::because(message))
        }
    };
    Ok((host, port.map(number).transpose()?))
}
