//! What outlives a reboot and needs transactions: `STATE/state.db`.
//!
//! Owns the file's format and its opening. Invariant: synced before a change counts (WAL,
//! synchronous=FULL), so that it survives any crash; a file of another format, or a broken one, is
//! never taken for an empty one. What is in the tables is their users' matter.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::plan::Directories;
use crate::store::{self, StoreError};

/// Version of the file: 1 counted boots, 2 also has what is deployed, 3 what was said of the
/// balancer.
const VERSION: i64 = 3;

/// How long another process may keep the file.
const PATIENCE: Duration = Duration::from_secs(10);

/// What each version added, from the first on.
const STEPS: [&str; VERSION as usize] = [
    "CREATE TABLE epoch (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL) STRICT;
     INSERT INTO epoch VALUES (1, 0);",
    "CREATE TABLE app (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
     CREATE TABLE version (
         app TEXT NOT NULL, number INTEGER NOT NULL, record TEXT NOT NULL,
         PRIMARY KEY (app, number)
     ) STRICT;",
    "CREATE TABLE balancing (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;",
];

/// Why the file can't be used.
#[derive(Debug)]
pub enum StateError {
    /// A directory on the way to it.
    Store(StoreError),
    /// It is no such file of ours, or no longer.
    Broken(PathBuf, String),
    /// Another process keeps it locked.
    Busy(PathBuf),
    /// It can't be read or written.
    File(PathBuf, String),
}

impl StateError {
    /// What SQLite said about the file at `path`.
    pub fn from_sqlite(path: &Path, error: rusqlite::Error) -> StateError {
        let path = path.to_owned();
        let text = match &error {
            rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
            other => other.to_string(),
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StateError::Busy(path),
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied,
            ) => StateError::File(path, text),
            _ => StateError::Broken(path, text),
        }
    }
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StateError::Store(error) => error.fmt(f),
            StateError::Broken(path, text) => {
                write!(f, "{} can't be read as hostctl's state: {text}", path.display())
            }
            StateError::Busy(path) => {
                write!(f, "{} is kept locked by another process", path.display())
            }
            StateError::File(path, text) => write!(f, "{}: {text}", path.display()),
        }
    }
}

impl std::error::Error for StateError {}

/// Open the file, made if there is none, brought up to this version if it is older.
///
/// # Errors
/// When a directory is not ours, the file is broken, newer, or kept locked.
pub fn open(directories: &Directories) -> Result<Connection, StateError> {
    store::open(&directories.state, &[]).map_err(StateError::Store)?;
    let path = directories.state_file();
    let prepare = || {
        store::conceal(&path);
        let mut db = Connection::open(&path)?;
        db.busy_timeout(PATIENCE)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if let Some(missing) = usize::try_from(found).ok().and_then(|found| STEPS.get(found..)) {
            for step in missing {
                change.execute_batch(step)?;
            }
            change.pragma_update(None, "user_version", VERSION)?;
        }
        change.commit()?;
        Ok((db, found))
    };
    let failed = |error| StateError::from_sqlite(&path, error);
    match prepare().map_err(failed)? {
        (db, found) if (0..=VERSION).contains(&found) => Ok(db),
        (_, found) => Err(StateError::Broken(
            path.clone(),
            format!("format {found}, but this hostctl writes format {VERSION}"),
        )),
    }
}

/// The same tables in memory alone.
///
/// # Errors
/// What SQLite says.
pub fn passing() -> rusqlite::Result<Connection> {
    let db = Connection::open_in_memory()?;
    STEPS.iter().try_for_each(|step| db.execute_batch(step))?;
    Ok(db)
}
