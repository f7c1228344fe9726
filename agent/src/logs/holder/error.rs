//! Why there can be no log.

use std::io;
use std::path::PathBuf;

use host_sys::Errno;

use crate::store::StoreError;

/// Why there can be no log.
#[derive(Debug)]
pub enum LogError {
    /// A folder can't be used.
    Folder(StoreError),
    /// Too many run under this name.
    Crowded(String),
    /// This sink can't be used.
    Sink(PathBuf, io::Error),
    /// What is between the program and the log can't be made.
    Pipe(Errno),
    /// A file in this folder can't be used.
    File(PathBuf, io::Error),
}

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LogError::Folder(error) => error.fmt(f),
            LogError::File(path, error) => write!(f, "{}: {error}", path.display()),
            LogError::Sink(path, error) => {
                write!(f, "{}: {}", path.display(), crate::failure::reason(error))
            }
            LogError::Crowded(name) => write!(f, "{name} runs too often at once"),
            LogError::Pipe(errno) => write!(f, "a pipe can't be made: {}", errno.desc()),
        }
    }
}

impl std::error::Error for LogError {}

impl From<Errno> for LogError {
    fn from(errno: Errno) -> Self {
        LogError::Pipe(errno)
    }
}
