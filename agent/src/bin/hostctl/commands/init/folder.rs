//! The app's directory, read only.
//!
//! Invariant: a file that is missing, too large, not text or not a plain file is simply not there:
//! no detector has to tell these apart.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use agent::source::{self, SourceError};

use agent::failure::Error;

/// A directory that is looked at.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    entries: Vec<String>,
}

impl Folder {
    /// Look at a directory.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::Source(SourceError::Read(path.to_owned(), error));
        let absolute = std::fs::canonicalize(path).map_err(failed)?;
        let entries = std::fs::read_dir(&absolute).map_err(failed)?;
        let mut entries: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        // The order of a directory is chance; the answer must not be.
        entries.sort();
        Ok(Folder { path: absolute, entries })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Names in it, sorted, hidden ones left out.
    pub(super) fn entries(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(String::as_str).filter(|name| !name.starts_with('.'))
    }

    pub(super) fn has_file(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }

    pub(super) fn has_directory(&self, name: &str) -> bool {
        self.path.join(name).is_dir()
    }

    /// Whether it is a plain file that its owner may execute.
    pub(super) fn has_program(&self, name: &str) -> bool {
        let found = std::fs::metadata(self.path.join(name));
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o100 != 0)
    }

    /// A file's text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        // A pipe would block the read.
        self.has_file(name).then(|| source::read(&self.path.join(name)).ok()).flatten()
    }

    /// The first of these that is a plain file.
    pub(super) fn first_file<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.has_file(name))
    }
}
