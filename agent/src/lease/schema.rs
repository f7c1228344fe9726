//! The two files of the leases: opened, made, and counted up at a new boot.
//!
//! Invariant: every change to a file is one transaction, so whatever is killed when, the next to
//! open it finds the state before or after. `leases.db` is on a file system that a reboot empties
//! and is never synced; `state.db` outlives power cuts and holds the epoch, which only rises.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

use super::LeaseError;
use crate::plan::Directories;
use crate::state::{self, StateError};
use crate::store;

/// Format of both files; another number is another version's.
const VERSION: i64 = 1;
/// How long another hostctl's transaction is waited for. One takes about a millisecond.
const PATIENCE: Duration = Duration::from_secs(20);
/// Fences of one epoch, as a power of two: 2^40 leases between two boots.
const EPOCH_SHIFT: u32 = 40;

const LEASES: &str = "
CREATE TABLE boot (
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, fence INTEGER NOT NULL
) STRICT;
CREATE TABLE lease (
    id INTEGER PRIMARY KEY, room TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL,
    fence INTEGER NOT NULL, since INTEGER NOT NULL, app TEXT NOT NULL, service TEXT NOT NULL,
    instance INTEGER NOT NULL, pid INTEGER NOT NULL, started INTEGER NOT NULL,
    namespace INTEGER NOT NULL, guard_pid INTEGER, guard_started INTEGER
) STRICT;
CREATE INDEX lease_room ON lease (room);
CREATE INDEX lease_fence ON lease (fence);
CREATE TABLE history (
    id INTEGER PRIMARY KEY, time INTEGER NOT NULL, room TEXT NOT NULL, key TEXT NOT NULL,
    fence INTEGER NOT NULL, was TEXT NOT NULL, became TEXT NOT NULL, cause TEXT NOT NULL,
    holder TEXT NOT NULL, pid INTEGER NOT NULL
) STRICT;
";

/// Open the ledger's file, made if there is none; its tables are [`prepare`]'s.
///
/// # Errors
/// When a directory is not ours, a file is broken, or somebody keeps it locked.
pub(super) fn open(directories: &Directories) -> Result<Connection, LeaseError> {
    store::open(&directories.run, &[]).map_err(LeaseError::Store)?;
    store::conceal(&directories.leases());
    connect(directories, OpenFlags::default())
}

/// Open the ledger's file in a directory that was found to be ours before.
///
/// # Errors
/// When the file is gone or broken, or somebody keeps it locked.
pub(super) fn reopen(directories: &Directories) -> Result<Connection, LeaseError> {
    connect(directories, OpenFlags::default() - OpenFlags::SQLITE_OPEN_CREATE)
}

fn connect(directories: &Directories, flags: OpenFlags) -> Result<Connection, LeaseError> {
    let path = directories.leases();
    let db = Connection::open_with_flags(&path, flags)
        .map_err(|error| LeaseError::from_sqlite(&path, error))?;
    set_up(&db).map_err(|error| error.at(&path))?;
    Ok(db)
}

/// Open the ledger of this boot for looking only; `None` if there is none.
///
/// # Errors
/// When the file is broken, or somebody keeps it locked.
pub(super) fn look(
    directories: &Directories,
    boot: &str,
) -> Result<Option<Connection>, LeaseError> {
    let path = directories.leases();
    if !path.exists() {
        return Ok(None);
    }
    let failed = |error| LeaseError::from_sqlite(&path, error);
    // Not read-only: what a killed writer left half done is undone by whoever opens it next.
    let db = Connection::open(&path).map_err(failed)?;
    set_up(&db).map_err(|error| error.at(&path))?;
    if version(&db).map_err(|error| error.at(&path))? == 0 {
        return Ok(None);
    }
    Ok((boot_of(&db).map_err(failed)?.as_deref() == Some(boot)).then_some(db))
}

/// What went wrong before the path is known.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Lease(LeaseError),
    Version(i64),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

impl Failure {
    pub(super) fn at(self, path: &Path) -> LeaseError {
        match self {
            Failure::Sqlite(error) => LeaseError::from_sqlite(path, error),
            Failure::Lease(error) => error,
            Failure::Version(found) => LeaseError::Broken(
                path.to_owned(),
                format!("format {found}, but this hostctl writes format {VERSION}"),
            ),
        }
    }
}

fn set_up(db: &Connection) -> Result<(), Failure> {
    db.busy_handler(Some(take_turns))?;
    // The page cache of the kernel outlives this process, and a reboot voids the file anyway.
    db.pragma_update(None, "synchronous", "OFF")?;
    // Made and removed anew, the journal would cost more than what is written to it.
    db.pragma_update(None, "journal_mode", "PERSIST")?;
    // A start uses a few pages; the default cache would count against hostctl's memory.
    db.pragma_update(None, "cache_size", 32)?;
    Ok(())
}

/// Wait for another's transaction: each for about as long as the next. With SQLite's own handler,
/// who has waited longest asks least often, and of many that start at once some never get a turn.
fn take_turns(tries: i32) -> bool {
    const PAUSE: Duration = Duration::from_millis(4);
    let spread = Duration::from_micros(u64::from(std::process::id() % 64) * 32);
    std::thread::sleep(PAUSE + spread);
    PAUSE * tries.unsigned_abs() < PATIENCE
}

fn version(db: &Connection) -> Result<i64, Failure> {
    match db.pragma_query_value(None, "user_version", |row| row.get(0))? {
        found if found == 0 || found == VERSION => Ok(found),
        found => Err(Failure::Version(found)),
    }
}

fn boot_of(db: &Connection) -> Result<Option<String>, rusqlite::Error> {
    db.prepare_cached("SELECT id FROM boot")?.query_row([], |row| row.get(0)).optional()
}

/// See to it, in the transaction that is going on, that the tables are there and of this boot.
///
/// # Errors
/// When a file is broken or of another version, or can't be written.
pub(super) fn prepare(
    change: &Transaction<'_>,
    directories: &Directories,
    boot: &str,
) -> Result<(), Failure> {
    if version(change)? == 0 {
        change.execute_batch(LEASES)?;
        change.pragma_update(None, "user_version", VERSION)?;
    }
    if boot_of(change)?.as_deref() != Some(boot) {
        let epoch = next_epoch(directories).map_err(Failure::Lease)?;
        super::ledger::void_all(change)?;
        let fence = epoch << EPOCH_SHIFT;
        change.execute("INSERT OR REPLACE INTO boot VALUES (1, ?1, ?2)", (boot, fence))?;
    }
    Ok(())
}

/// Count the epoch up, for good. A crash between this and its first use skips a number, no more.
fn next_epoch(directories: &Directories) -> Result<i64, LeaseError> {
    let mut db = state::open(directories)?;
    let path = directories.state_file();
    let mut count = || {
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = "UPDATE epoch SET number = number + 1 RETURNING number";
        let epoch = change.query_row(sql, [], |row| row.get(0))?;
        change.commit()?;
        Ok(epoch)
    };
    count().map_err(|error| StateError::from_sqlite(&path, error).into())
}
