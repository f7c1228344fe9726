//! Where a sink is: its address as text, and what that means.
//!
//! Invariant: pure. A password in an address is never shown: [`Address`] prints without it, and
//! only [`Address::text`] has it.

use std::fmt;
use std::path::PathBuf;

use super::basic;

/// A port where syslog is spoken over UDP (RFC 5426) and TCP (RFC 6587 names none; RFC 3195's).
const SYSLOG_PORTS: (u16, u16) = (514, 601);

/// Where a sink is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    /// The kind of sink, and where it is.
    pub target: Target,
}

/// The kinds of sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `file:/path`.
    File(PathBuf),
    /// `journal`.
    Journal,
    /// `syslog:…`.
    Syslog(Syslog),
    /// `loki+http(s)://…`.
    Loki(Url),
    /// `otlp+http(s)://…`.
    Otlp(Url),
    /// `http(s)://…`.
    Http(Url),
    /// `exec:./program`: the command as written.
    Exec(String),
}

/// Where syslog is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Syslog {
    /// `syslog:unix:/dev/log`, `syslog:/dev/log`.
    Unix(PathBuf),
    /// `syslog:udp://host:514`.
    Udp(Peer),
    /// `syslog:tcp://host:601`.
    Tcp(Peer),
}

/// A host, by name or number, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// An address of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Over TLS.
    pub tls: bool,
    /// Whom to connect to.
    pub peer: Peer,
    /// What to ask for, from the first slash on, a query included.
    pub path: String,
    /// The value of `Authorization`, if the address has a user.
    pub authorization: Option<String>,
}

/// What is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressError {
    /// No kind of sink begins so.
    Kind(String),
    /// Nothing stands behind the scheme.
    Empty(&'static str),
    /// A path that does not begin with a slash.
    Relative(String),
    /// No host.
    Host(String),
    /// A port that is none.
    Port(String),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressError::Kind(text) => write!(
                f,
                "{text} is no sink: journal, file:/path, syslog:udp://host, loki+http://host, \
                 otlp+http://host, http://host/path and exec:./program are"
            ),
            AddressError::Empty(scheme) => write!(f, "nothing stands behind {scheme}"),
            AddressError::Relative(path) => write!(f, "the path {path} does not begin with /"),
            AddressError::Host(text) => write!(f, "{text} names no host"),
            AddressError::Port(text) => write!(f, "{text} is no port"),
        }
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// What an address means.
    ///
    /// # Errors
    /// When it means nothing.
    pub fn read(text: &str) -> Result<Address, AddressError> {
        Ok(Address { text: text.to_owned(), target: target(text)? })
    }

    /// As it was written, with everything in it: what tells one sink from another.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.text))
    }
}

/// An address without the user and password in it, if there are any.
pub fn shown(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://…@{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

fn target(text: &str) -> Result<Target, AddressError> {
    if text == "journal" {
        return Ok(Target::Journal);
    }
    let (scheme, rest) = text.split_once(':').ok_or_else(|| AddressError::Kind(shown(text)))?;
    Ok(match scheme {
        "file" => Target::File(absolute("file:", rest)?),
        "syslog" => Target::Syslog(syslog(rest)?),
        "exec" if rest.trim().is_empty() => return Err(AddressError::Empty("exec:")),
        "exec" => Target::Exec(rest.to_owned()),
        "http" | "https" => Target::Http(url(scheme == "https", rest, None)?),
        "loki+http" | "loki+https" => {
            Target::Loki(url(scheme == "loki+https", rest, Some(super::loki::PATH))?)
        }
        "otlp+http" | "otlp+https" => {
            Target::Otlp(url(scheme == "otlp+https", rest, Some(super::otlp::PATH))?)
        }
        _ => return Err(AddressError::Kind(shown(text))),
    })
}

fn absolute(scheme: &'static str, path: &str) -> Result<PathBuf, AddressError> {
    match path {
        "" => Err(AddressError::Empty(scheme)),
        path if path.starts_with('/') => Ok(path.into()),
        path => Err(AddressError::Relative(path.to_owned())),
    }
}

fn syslog(rest: &str) -> Result<Syslog, AddressError> {
    let (udp, tcp) = SYSLOG_PORTS;
    if let Some(authority) = rest.strip_prefix("udp://") {
        return Ok(Syslog::Udp(peer(authority.trim_end_matches('/'), udp)?));
    }
    if let Some(authority) = rest.strip_prefix("tcp://") {
        return Ok(Syslog::Tcp(peer(authority.trim_end_matches('/'), tcp)?));
    }
    let path = rest.strip_prefix("unix:").unwrap_or(rest);
    let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
    Ok(Syslog::Unix(absolute("syslog:", path)?))
}

/// `rest` is what stands behind the scheme's colon. `below` is where the kind's own path is put
/// unless the address ends with it already.
fn url(tls: bool, rest: &str, below: Option<&str>) -> Result<Url, AddressError> {
    let rest = rest.strip_prefix("//").ok_or_else(|| AddressError::Host(rest.to_owned()))?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, authority) = match authority.rsplit_once('@') {
        Some((user, authority)) => (Some(user), authority),
        None => (None, authority),
    };
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let path = match below {
        Some(below) if !path.ends_with(below) => path.trim_end_matches('/').to_owned() + below,
        _ if path.is_empty() => "/".to_owned(),
        _ => path.to_owned(),
    };
    Ok(Url {
        tls,
        peer: peer(authority, if tls { 443 } else { 80 })?,
        path: path + query,
        authorization: user.map(|user| basic::authorization(&basic::decoded(user))),
    })
}

fn peer(authority: &str, port: u16) -> Result<Peer, AddressError> {
    let (host, rest) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(is_name) {
        return Err(AddressError::Host(authority.to_owned()));
    }
    let port = match rest.strip_prefix(':') {
        Some(text) => match text.parse() {
            Ok(0) | Err(_) => return Err(AddressError::Port(text.to_owned())),
            Ok(port) => port,
        },
        None if rest.is_empty() => port,
        None => return Err(AddressError::Host(authority.to_owned())),
    };
    Ok(Peer { host: host.to_owned(), port })
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Target {
        Address::read(text).unwrap_or_else(|error| panic!("{text}: {error}")).target
    }

    fn peer(host: &str, port: u16) -> Peer {
        Peer { host: host.into(), port }
    }

    #[test]
    fn every_kind_has_its_address() {
        assert_eq!(read("journal"), Target::Journal);
        assert_eq!(read("file:/var/log/a b.log"), Target::File("/var/log/a b.log".into()));
        for text in ["syslog:/dev/log", "syslog:unix:/dev/log", "syslog:unix:///dev/log"] {
            assert_eq!(read(text), Target::Syslog(Syslog::Unix("/dev/log".into())), "{text}");
        }
        let udp = |host, port| Target::Syslog(Syslog::Udp(peer(host, port)));
        assert_eq!(read("syslog:udp://logs.example"), udp("logs.example", 514));
        assert_eq!(read("syslog:udp://[::1]:5514/"), udp("::1", 5514));
        let tcp = Target::Syslog(Syslog::Tcp(peer("127.0.0.1", 601)));
        assert_eq!(read("syslog:tcp://127.0.0.1"), tcp);
        assert_eq!(read("exec:./ship --fast"), Target::Exec("./ship --fast".into()));
    }

    #[test]
    fn paths_of_kinds_stand_below_the_address() {
        let path = |text| match read(text) {
            Target::Loki(url) | Target::Otlp(url) | Target::Http(url) => url.path,
            target => panic!("{target:?}"),
        };
        assert_eq!(path("loki+http://h"), "/loki/api/v1/push");
        assert_eq!(path("loki+https://h/tenant/"), "/tenant/loki/api/v1/push");
        assert_eq!(path("loki+http://h/x/loki/api/v1/push?a=b"), "/x/loki/api/v1/push?a=b");
        assert_eq!(path("otlp+http://h:4318"), "/v1/logs");
        assert_eq!(path("otlp+http://h:4318/v1/logs"), "/v1/logs");
        assert_eq!(path("http://h"), "/");
        assert_eq!(path("http://h?a=b"), "/?a=b");
        assert_eq!(path("https://h/push?a=b#c"), "/push?a=b");
    }

    #[test]
    fn a_password_is_used_and_never_shown() {
        let address = Address::read("https://me:s%40cret@logs.example/push").unwrap();
        assert_eq!(address.to_string(), "https://…@logs.example/push");
        let Target::Http(url) = address.target else { panic!() };
        assert_eq!((url.tls, url.peer), (true, peer("logs.example", 443)));
        assert_eq!(url.authorization.as_deref(), Some("Basic bWU6c0BjcmV0"));
        let wrong = Address::read("ftp://me:secret@h").unwrap_err().to_string();
        assert!(!wrong.contains("secret"), "{wrong}");
        assert_eq!(shown("http://h/a@b"), "http://h/a@b");
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in [
            "",
            "jornal",
            "file:",
            "file:a.log",
            "syslog:",
            "syslog:dev/log",
            "syslog:udp://",
            "syslog:udp://h:0",
            "syslog:tcp://h:99999",
            "http:",
            "http:/h",
            "http://",
            "http://:80",
            "http://h:x/",
            "http://[::1/",
            "http://a b/",
            "http://h\r\nx: y/",
            "exec:",
            "exec: ",
            "loki:h",
            "loki+ftp://h",
            "otlp+http://u@",
        ] {
            assert!(Address::read(text).is_err(), "{text}");
        }
    }
}
