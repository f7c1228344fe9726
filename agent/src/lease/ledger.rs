//! Who holds what on this host: every change one transaction, every transition a row.
//!
//! Invariant: [`Change::step`] alone changes a lease, by the table of [`super::table`]. Two holders
//! of what excludes itself never exist, a lease of a living holder is never lost, and fences only
//! rise, under any interleaving of processes, each of which may be killed at any instant.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::LeaseError;
use super::claims::Claims;
use super::conflict::{Conflict, Occupant, Refusal, since};
use super::holder::{Holder, Process, parent};
use super::key::Key;
use super::probe::{Verdict, probe};
use super::row::{self, Entry, Row};
use super::schema;
use super::table::{Event, State};
use crate::network::pool::Pool;
use crate::network::rules::OwnAddress;
use crate::plan::Directories;

/// Transitions that are remembered.
const HISTORY: i64 = 10_000;
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
        let db = schema::open(directories, boot)?;
        Ok(Ledger { db, path: directories.leases(), clock })
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
        Ok(schema::look(directories, boot)?.map(|db| Ledger { db, path, clock }))
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
    ///
    /// # Errors
    /// When the ledger can't be used; the leases then end with their holder.
    pub fn release(&mut self, leases: &[Lease]) -> Result<(), LeaseError> {
        self.change(|change| {
            for lease in leases {
                for row in change.room(&lease.key)?.into_iter().filter(|r| r.fence == lease.fence) {
                    if let Some(row) = change.step(row, Event::Release, "released")? {
                        change.clear(row)?;
                    }
                }
            }
            Ok(())
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
                        if let Some(row) = change.step(row, Event::Release, cause)? {
                            change.clear(row)?;
                        }
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
            let mut change = Change { tx, now, noted: None };
            let answer = body(&mut change)?;
            change.forget()?;
            change.tx.commit()?;
            Ok(answer)
        };
        run().map_err(|error| LeaseError::from_sqlite(&self.path, error))
    }
}

/// The one transaction that is going on.
struct Change<'a> {
    tx: Transaction<'a>,
    now: i64,
    /// The last row of history that it wrote.
    noted: Option<i64>,
}

impl Change<'_> {
    fn room(&self, key: &Key) -> rusqlite::Result<Vec<Row>> {
        row::room(&self.tx, &key.room())
    }

    /// The first address that nobody holds; when all are held, the first, which then is in the way.
    fn free_address(&mut self, pool: Pool) -> rusqlite::Result<Option<OwnAddress>> {
        for own in pool.all() {
            let mut held = false;
            for row in self.room(&Key::Address(own.v4.into()))? {
                held |= self.reap(row)?.is_some();
            }
            if !held {
                return Ok(Some(own));
            }
        }
        Ok(pool.nth(1))
    }

    /// Everything that stands in the way of these keys, after the dead are cleared away. A port that
    /// the asker has a socket on is not tried out: that socket proves that nobody else has. One that
    /// it shares with other instances is held by all of them.
    fn conflicts(
        &mut self,
        keys: &[Key],
        asker: Option<&Claims>,
    ) -> rusqlite::Result<Vec<Conflict>> {
        let mut conflicts = Vec::new();
        for key in keys {
            let ours = asker.is_some_and(|claims| claims.has_socket(key));
            let mut held = Vec::new();
            for row in self.room(key)? {
                held.extend(self.reap(row)?);
            }
            if ours {
                held = self.proved(held)?;
            }
            if let Some(claims) = asker {
                held.retain(|row| !claims.shares(key, &row.holder));
            }
            let blocking = key.in_the_way(&held, |row| &row.key);
            if !blocking.is_empty() {
                let occupants = blocking.into_iter().map(|row| self.occupant(row)).collect();
                conflicts.push(Conflict::Held(key.clone(), occupants));
            } else if !ours && let Verdict::Taken(owner) = probe(key) {
                conflicts.push(self.foreign(key, owner)?);
            }
        }
        Ok(conflicts)
    }

    /// A port in use without a lease: by a stranger, or by an app of ours that may not.
    fn foreign(&self, key: &Key, owner: Option<super::probe::Owner>) -> rusqlite::Result<Conflict> {
        let Some(owner) = owner else { return Ok(Conflict::Foreign(key.clone(), None)) };
        let rows = row::all(&self.tx)?;
        let ancestors: Vec<i32> =
            std::iter::successors(Some(owner.pid), |pid| parent(*pid)).collect();
        let ours = rows.iter().find(|row| {
            let guard = row.guard.map(|guard| guard.pid);
            ancestors.iter().any(|pid| *pid == row.holder.process.pid || Some(*pid) == guard)
        });
        Ok(match ours {
            Some(row) => Conflict::Stray(key.clone(), owner, row.holder.name()),
            None => Conflict::Foreign(key.clone(), Some(owner)),
        })
    }

    /// Move a lease on as far as its holder's death allows; `None` when that makes it free.
    fn reap(&mut self, row: Row) -> rusqlite::Result<Option<Row>> {
        let mut row = row;
        if row.state == State::Held && !row.holder.process.is_alive() {
            let Some(next) = self.step(row, Event::HolderDied, "holder died")? else {
                return Ok(None);
            };
            row = next;
        }
        if row.state == State::Draining && !row.guard.is_some_and(|guard| guard.is_alive()) {
            let Some(next) = self.step(row, Event::Drained, "nothing of it is left")? else {
                return Ok(None);
            };
            row = next;
        }
        self.clear(row)
    }

    /// Out of quarantine, if a try shows that nobody uses it.
    fn clear(&mut self, row: Row) -> rusqlite::Result<Option<Row>> {
        if row.state != State::Quarantined {
            return Ok(Some(row));
        }
        match probe(&row.key) {
            Verdict::Free => self.step(row, Event::ProvedFree, "found unused"),
            Verdict::Taken(_) => self.step(row, Event::ProvedTaken, "found in use"),
        }
    }

    /// Out of quarantine, because the asker has the port.
    fn proved(&mut self, rows: Vec<Row>) -> rusqlite::Result<Vec<Row>> {
        let mut left = Vec::new();
        for row in rows {
            left.extend(self.step(row, Event::ProvedFree, "its next holder has its socket")?);
        }
        Ok(left)
    }

    fn grant(&mut self, keys: &[Key], holder: &Holder) -> rusqlite::Result<Vec<Lease>> {
        let count = keys.len() as i64;
        let sql = "UPDATE boot SET fence = fence + ?1 RETURNING fence";
        let last: i64 = self.tx.query_row(sql, [count], |row| row.get(0))?;
        let mut leases = Vec::new();
        for (key, fence) in keys.iter().zip(last - count + 1..) {
            let free = Row {
                key: key.clone(),
                state: State::Free,
                fence,
                since: self.now,
                holder: holder.clone(),
                guard: None,
            };
            let requested = self.step(free, Event::Request, "requested")?;
            if let Some(row) = requested {
                self.step(row, Event::Grant, "nothing in the way")?;
            }
            leases.push(Lease { key: key.clone(), fence });
        }
        Ok(leases)
    }

    /// The one way a lease changes: by the table, with a row of history. `None` when it is free.
    fn step(&mut self, mut row: Row, event: Event, cause: &str) -> rusqlite::Result<Option<Row>> {
        let (was, next) = (row.state, row.state.after(event));
        if next == was {
            return Ok((next != State::Free).then_some(row));
        }
        row.state = next;
        match (was, next) {
            (_, State::Free) => row::delete(&self.tx, &row)?,
            (State::Free, _) => row::insert(&self.tx, &row)?,
            _ => row::update(&self.tx, &row)?,
        }
        let sql = "INSERT INTO history (time, room, key, fence, was, became, cause, holder, pid)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let (room, key, holder) = (row.key.room(), row.key.to_string(), row.holder.name());
        let pid = row.holder.process.pid;
        self.tx.prepare_cached(sql)?.execute(params![
            self.now,
            room,
            key,
            row.fence,
            was.name(),
            next.name(),
            cause,
            holder,
            pid
        ])?;
        self.noted = Some(self.tx.last_insert_rowid());
        Ok((next != State::Free).then_some(row))
    }

    /// Keep no more history than is to be remembered.
    fn forget(&self) -> rusqlite::Result<()> {
        if let Some(noted) = self.noted {
            self.tx.execute("DELETE FROM history WHERE id <= ?1", [noted - HISTORY])?;
        }
        Ok(())
    }

    fn occupant(&self, row: &Row) -> Occupant {
        Occupant {
            name: row.holder.name(),
            process: row.holder.process,
            guard: row.guard,
            state: row.state,
            since: since(row.since, self.now),
        }
    }
}

/// The host was started anew: nothing is held. The history of the last boot goes with its leases;
/// one row for each says why.
pub(super) fn void_all(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let free = State::Held.after(Event::Boot).name();
    tx.execute(
        "INSERT INTO history (time, room, key, fence, was, became, cause, holder, pid)
         SELECT since, room, key, fence, state, ?1, 'boot', app, pid FROM lease",
        [free],
    )?;
    tx.execute("DELETE FROM lease", [])?;
    Ok(())
}
