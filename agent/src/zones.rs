//! The time zones of this host: the files of its tzdata, and how new they are.
//!
//! Invariant: a zone that is not found is an error, never another zone. Nothing here asks which zone
//! this process or this host is in, but for the name `local`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use loadbalancer::schedule::{Zone, ZoneError};

/// Where every distribution has them.
const FOLDER: &str = "/usr/share/zoneinfo";
/// The host's own (localtime(5)).
const LOCAL: &str = "/etc/localtime";
/// The largest zone of all has 4 KiB.
const LIMIT: u64 = 256 * 1024;

/// Why there is no such zone.
#[derive(Debug)]
pub enum ZonesError {
    /// It is no name of a zone.
    Name(String),
    /// tzdata is not installed.
    NoData,
    /// There is no file for it.
    Unknown(String),
    /// Its file can't be read.
    Io(PathBuf, io::Error),
    /// Its file is none.
    Form(ZoneError),
}

impl std::fmt::Display for ZonesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ZonesError::Name(name) => write!(f, "{name:?} is no name of a time zone"),
            ZonesError::NoData => write!(f, "there are no time zones at {FOLDER}"),
            ZonesError::Unknown(name) => write!(f, "there is no time zone {name:?}"),
            ZonesError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            ZonesError::Form(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ZonesError {}

impl ZonesError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            ZonesError::NoData => "install the package tzdata",
            ZonesError::Name(_) | ZonesError::Unknown(_) => {
                "zones are named after a place, such as Europe/Prague (tzselect(8) asks for it); \"local\" is this host's, and UTC needs no name"
            }
            ZonesError::Io(..) | ZonesError::Form(_) => "install the package tzdata again",
        }
        .to_owned()
    }
}

/// A zone by its name: `UTC`, `local`, or a place's.
///
/// # Errors
/// [`ZonesError`].
pub fn zone(name: &str) -> Result<Zone, ZonesError> {
    if name == "UTC" {
        return Ok(Zone::utc());
    }
    if name == "local" {
        return read(name, Path::new(LOCAL));
    }
    // A name is a path, and is not to lead anywhere else.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-');
    let is_part = |part: &str| !part.is_empty() && part.chars().all(is_plain);
    if !name.split('/').all(is_part) {
        return Err(ZonesError::Name(name.to_owned()));
    }
    if !Path::new(FOLDER).is_dir() {
        return Err(ZonesError::NoData);
    }
    read(name, &Path::new(FOLDER).join(name))
}

fn read(name: &str, path: &Path) -> Result<Zone, ZonesError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
    match read {
        Ok(_) => Zone::read(name, &bytes).map_err(ZonesError::Form),
        Err(error) => Err(match error.kind() {
            // A folder of zones is none.
            io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => {
                ZonesError::Unknown(name.to_owned())
            }
            _ => ZonesError::Io(path.to_owned(), error),
        }),
    }
}

/// The version of tzdata, `2026a`; `None` where it does not say.
pub fn version() -> Option<String> {
    let mut begin = Vec::new();
    let file = File::open(Path::new(FOLDER).join("tzdata.zi")).ok()?;
    file.take(64).read_to_end(&mut begin).ok()?;
    let begin = String::from_utf8(begin).ok()?;
    Some(begin.lines().next()?.strip_prefix("# version ")?.trim().to_owned())
}
