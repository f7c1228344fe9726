//! Where a manifest comes from: files, the operator's drop-in, variables and flags, in one order.
//!
//! Owns the precedence. Invariant: a file is read once; what was checked is what runs. Reads only
//! what it is told to, and never more than the format's limit.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use manifest_spec::names::AppName;
use manifest_spec::policy::HostPolicy;
use manifest_spec::{Diagnostics, Document, Layer, Manifest};
use serde::{Deserialize, Serialize};

/// What the command line says about a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// `--profile`.
    pub profile: Option<String>,
    /// `HOSTCTL_SET_*`, sorted by name.
    pub variables: Vec<(String, String)>,
    /// `--unset`, in order.
    pub unset: Vec<String>,
    /// `--set`, in order.
    pub set: Vec<String>,
    /// `--port-offset`.
    pub port_offset: u16,
}

/// Why there is no manifest.
#[derive(Debug)]
pub enum SourceError {
    /// A file can't be read.
    Read(PathBuf, std::io::Error),
    /// A file that steers hostctl belongs to this uid, or others may write it (mode).
    Foreign(PathBuf, u32, u32),
    /// A file is larger than a manifest may be.
    TooLarge(PathBuf),
    /// A file is not UTF-8; the byte where it stops being that.
    NotText(PathBuf, usize),
    /// What it says is wrong.
    Invalid(Diagnostics),
}

impl From<Diagnostics> for SourceError {
    fn from(diagnostics: Diagnostics) -> Self {
        SourceError::Invalid(diagnostics)
    }
}

/// A manifest with everything that was put on top of it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The merged text, for origins.
    pub document: Document,
    /// What it says, offset applied.
    pub manifest: Manifest,
}

/// Merge and check: manifest, profile, drop-in, variables, `--unset`, `--set`, offset.
///
/// # Errors
/// Everything that is wrong, together.
pub fn load(
    name: &str,
    text: &str,
    drop_in: impl FnOnce(&str) -> PathBuf,
    overrides: &Overrides,
) -> Result<Loaded, SourceError> {
    let mut document = Document::parse(name, text)?;
    if let Some(profile) = &overrides.profile {
        document.apply(Layer::Profile(profile))?;
    }
    // What is no name has no file; that it is none is said with everything else.
    let name = document.name().filter(|name| AppName::new(name).is_ok());
    let path = name.map(drop_in);
    if let Some(path) = path
        && let Some(text) = read_if_present(&path)?
    {
        document.apply(Layer::DropIn { file: &path.display().to_string(), text: &text })?;
    }
    for (name, value) in &overrides.variables {
        document.apply(Layer::Variable { name, value })?;
    }
    for key in &overrides.unset {
        document.apply(Layer::Unset(key))?;
    }
    for set in &overrides.set {
        document.apply(Layer::Set(set))?;
    }
    let manifest = document.manifest()?.offset(overrides.port_offset)?;
    Ok(Loaded { document, manifest })
}

/// The host policy; without the file, the one that says nothing.
///
/// # Errors
/// When it can't be read or is wrong: then nothing runs.
pub fn policy(path: &Path) -> Result<HostPolicy, SourceError> {
    match read_if_present(path)? {
        Some(text) => Ok(HostPolicy::parse(&path.display().to_string(), &text)?),
        None => Ok(HostPolicy::default()),
    }
}

/// A file's text.
///
/// # Errors
/// When it can't be read, is too large or not UTF-8.
pub fn read(path: &Path) -> Result<String, SourceError> {
    read_as(path, false)
}

/// A file's text; `operators` for one that is believed because only root or the caller could have
/// written it.
fn read_as(path: &Path, operators: bool) -> Result<String, SourceError> {
    let failed = |error| SourceError::Read(path.to_owned(), error);
    let file = std::fs::File::open(path).map_err(failed)?;
    if operators {
        let status = host_sys::file::status(file.as_fd())
            .map_err(|errno| failed(std::io::Error::from_raw_os_error(errno as i32)))?;
        let trusted = [0, host_sys::creds::effective().0].contains(&status.uid);
        if !trusted || status.mode & 0o022 != 0 {
            return Err(SourceError::Foreign(path.to_owned(), status.uid, status.mode));
        }
    }
    let limit = manifest_spec::limits::FILE_BYTES as u64;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(SourceError::TooLarge(path.to_owned()));
    }
    String::from_utf8(bytes)
        .map_err(|error| SourceError::NotText(path.to_owned(), error.utf8_error().valid_up_to()))
}

/// A file that only the operator writes, if it is there.
fn read_if_present(path: &Path) -> Result<Option<String>, SourceError> {
    match read_as(path, true) {
        Err(SourceError::Read(_, error)) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        result => result.map(Some),
    }
}
