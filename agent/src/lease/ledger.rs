//! Who holds what on this host: every change one transaction, every transition a row.
//!
//! Invariant: a [`Change`] alone changes a lease, by the table of [`super::table`]. Two holders
//! of what excludes itself never exist, a lease of a living holder is never lost, and fences only
//! rise, under any interleaving of processes, each of which may be killed at any instant.

mod change;

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::LeaseError;
use super::claims::Claims;
use super::conflict::{Conflict, Refusal};
use super::holder::{Holder, Process};
use super::key::Key;
use super::reserved;
use super::row::{self, Entry, Row};
use super::schema::{self, Failure};
use crate::network::rules::OwnAddress;
use crate::plan::Directories;

use change::Change;
pub(super) use change::void_all;

/// How far the next free offset is looked for, when it is only a hint.
const HINTED: u16 = 1000;

/// A key that is held, and its fence: a number that is larger than that of every earlier lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What.
    pub key: Key,
    /// Its number; whoever accepts writes of a holder can refuse those of an earlier one.
    pub fence: i64,
}

/// Where something was found to be free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Port offset.
    pub offset: u16,
    /// The address of its own, if it was to have one.
    pub address: Option<OwnAddress>,
}

/// Which offset is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The plan's own.
    Planned,
    /// The smallest at which everything is free.
    Smallest,
}

/// The leases of this host, or of this user.
#[derive(Debug)]
pub struct Ledger {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    clock: fn() -> Duration,
    /// What the first change has to see to: that the tables are there, and of this boot.
    unprepared: Option<(Directories, String)>,
}

impl Ledger {
    /// Open it, made if there is none. `boot` is the id of the running boot: leases of another one
    /// are void.
    ///
    /// # Errors
    /// When a directory is not ours, a file is broken, or somebody keeps it locked.
    pub fn open(
        directories: &Directories,
        boot: &str,
        clock: fn() -> Duration,
    ) -> Result<Ledger, LeaseError> {
        let mut ledger = Ledger::open_to_change(directories, boot, clock)?;
        ledger.change(|_| Ok(()))?;
        Ok(ledger)
    }

    /// As [`Ledger::open`], but everything is made by the first change, in its transaction: there
    /// is nothing to read before.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub(super) fn open_to_change(
        directories: &Directories,
        boot: &str,
        clock: fn() -> Duration,
    ) -> Result<Ledger, LeaseError> {
        let db = schema::open(directories)?;
        let unprepared = Some((directories.clone(), boot.to_owned()));
        Ok(Ledger { db, path: directories.leases(), clock, unprepared })
    }

    /// Open it for whoever holds a lease of it: so it was made in this boot, in a directory that
    /// nobody else can have exchanged since.
    ///
    /// # Errors
    /// When the file is gone or broken, or somebody keeps it locked.
    pub(super) fn reopen(
        directories: &Directories,
        clock: fn() -> Duration,
    ) -> Result<Ledger, LeaseError> {
        let db = schema::reopen(directories)?;
        Ok(Ledger { db, path: directories.leases(), clock, unprepared: None })
    }

    /// Open it for looking; `None` if nothing was leased since the host started.
    ///
    /// # Errors
    /// When the file is broken, or somebody keeps it locked.
    pub fn look(
        directories: &Directories,
        boot: &str,
        clock: fn() -> Duration,
    ) -> Result<Option<Ledger>, LeaseError> {
        let path = directories.leases();
        let ledger = |db| Ledger { db, path, clock, unprepared: None };
        Ok(schema::look(directories, boot)?.map(ledger))
    }

    /// Lease all keys or none.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] with everything in the way; else when the ledger can't be used.
    pub fn acquire_all(&mut self, keys: &[Key], holder: &Holder) -> Result<Vec<Lease>, LeaseError> {
        self.change(|change| {
            let conflicts = change.conflicts(keys, None)?;
            if conflicts.is_empty() {
                return change.grant(keys, holder).map(Ok);
            }
            Ok(Err(Refusal { conflicts, next_offset: None }))
        })?
        .map_err(|refusal| LeaseError::Refused(Box::new(refusal)))
    }

    /// Lease all keys or none for a service that a balancer stands before: its instances are where
    /// a try would find the port in use.
    ///
    /// # Errors
    /// As [`Ledger::acquire_all`].
    pub fn acquire_served(
        &mut self,
        keys: &[Key],
        holder: &Holder,
    ) -> Result<Vec<Lease>, LeaseError> {
        self.change(|change| {
            let conflicts = change.held_by_others(keys, holder)?;
            if conflicts.is_empty() {
                return change.grant(keys, holder).map(Ok);
            }
            Ok(Err(Refusal { conflicts, next_offset: None }))
        })?
        .map_err(|refusal| LeaseError::Refused(Box::new(refusal)))
    }

    /// Lease what an instance needs, all or nothing, at its own offset or at the smallest that is
    /// free; the answer tells where.
    ///
    /// # Errors
    /// As [`Ledger::acquire_all`]; the refusal then also tells the next free offset.
    pub fn acquire_claims(
        &mut self,
        claims: &Claims,
        choice: Choice,
        process: Process,
    ) -> Result<(Placement, Vec<Lease>), LeaseError> {
        self.change(|change| {
            let own = claims.offset();
            let address = match claims.addresses() {
                Some(pool) => change.free_address(pool)?,
                None => None,
            };
            let mut first = Vec::new();
            let last = if choice == Choice::Smallest { u16::MAX } else { own };
            for offset in own..=last {
                let Some(keys) = claims.keys(offset, address) else { break };
                let conflicts = change.conflicts(&keys, Some(claims))?;
                if conflicts.is_empty() {
                    let holder = claims.holder(offset, process);
                    let placement = Placement { offset, address };
                    return Ok(Ok((placement, change.grant(&keys, &holder)?)));
                }
                if offset == own {
                    first = conflicts;
                }
            }
            let mut next_offset = None;
            if choice == Choice::Planned {
                for offset in own.saturating_add(1)..=own.saturating_add(HINTED) {
                    let Some(keys) = claims.keys(offset, address) else { break };
                    if change.conflicts(&keys, Some(claims))?.is_empty() {
                        next_offset = Some(offset);
                        break;
                    }
                }
            }
            Ok(Err(Refusal { conflicts: first, next_offset }))
        })?
        .map_err(|refusal| LeaseError::Refused(Box::new(refusal)))
    }

    /// Name the process that keeps leases in use when their holder is gone: those that were granted
    /// at once.
    ///
    /// # Errors
    /// When the ledger can't be used.
    pub fn guard(&mut self, leases: &[Lease], guard: Process) -> Result<(), LeaseError> {
        self.change(|change| {
            let fences = || leases.iter().map(|lease| lease.fence);
            let (Some(first), Some(last)) = (fences().min(), fences().max()) else { return Ok(()) };
            // The fences of one grant follow one another; one number is never given twice.
            let sql = "UPDATE lease SET guard_pid = ?3, guard_started = ?4
                       WHERE fence BETWEEN ?1 AND ?2";
            change.tx.execute(sql, (first, last, guard.pid, guard.started as i64))?;
            Ok(())
        })
    }

    /// Give leases back. One that somebody took away meanwhile is left alone: its fence is gone.
    /// The answer tells whether ports are reserved, which may now be too many.
    ///
    /// # Errors
    /// When the ledger can't be used; the leases then end with their holder.
    pub fn release(&mut self, leases: &[Lease]) -> Result<bool, LeaseError> {
        self.change(|change| {
            for lease in leases {
                for row in change.room(&lease.key)?.into_iter().filter(|r| r.fence == lease.fence) {
                    change.give_back(row, "released")?;
                }
            }
            reserved::is_any(&change.tx)
        })
    }

    /// Take a lease from its holder. Without `force` only from one that is dead.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] when its holder lives.
    pub fn take_away(&mut self, key: &Key, cause: &str, force: bool) -> Result<usize, LeaseError> {
        self.change(|change| {
            let rows: Vec<Row> = change.room(key)?.into_iter().filter(|r| r.key == *key).collect();
            let mut kept = Vec::new();
            let mut taken = 0;
            for row in rows {
                let cleared = change.reap(row)?;
                match cleared {
                    None => taken += 1,
                    Some(row) if force => {
                        change.give_back(row, cause)?;
                        taken += 1;
                    }
                    Some(row) => kept.push(change.occupant(&row)),
                }
            }
            if kept.is_empty() {
                return Ok(Ok(taken));
            }
            let conflicts = vec![Conflict::Held(key.clone(), kept)];
            Ok(Err(Refusal { conflicts, next_offset: None }))
        })?
        .map_err(|refusal| LeaseError::Refused(Box::new(refusal)))
    }

    /// Every lease, in the order they were taken. Looks, and judges nothing.
    ///
    /// # Errors
    /// When the ledger can't be used.
    pub fn rows(&self) -> Result<Vec<Row>, LeaseError> {
        row::all(&self.db).map_err(|error| LeaseError::from_sqlite(&self.path, error))
    }

    /// What is remembered of everything that shares a key's place, oldest first.
    ///
    /// # Errors
    /// When the ledger can't be used.
    pub fn history(&self, key: &Key) -> Result<Vec<Entry>, LeaseError> {
        row::history(&self.db, &key.room())
            .map_err(|error| LeaseError::from_sqlite(&self.path, error))
    }

    /// One transaction. A refusal is an answer and commits: what was found out on the way stays.
    fn change<T>(
        &mut self,
        body: impl FnOnce(&mut Change<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, LeaseError> {
        let now = (self.clock)().as_millis() as i64;
        let run = || {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if let Some((directories, boot)) = &self.unprepared {
                schema::prepare(&tx, directories, boot)?;
            }
            let mut change = Change::new(tx, now);
            let answer = body(&mut change)?;
            change.forget()?;
            change.tx.commit()?;
            Ok(answer)
        };
        let answer = run().map_err(|failure: Failure| failure.at(&self.path))?;
        self.unprepared = None;
        Ok(answer)
    }
}
