//! Who holds what on this host: every change one transaction, every transition a row.
//!
//! Invariant: [`Change::walk`] alone changes a lease, by the table of [`super::table`]. Two holders
//! of what excludes itself never exist, a lease of a living holder is never lost, and fences only
//! rise, under any interleaving of processes, each of which may be killed at any instant.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::LeaseError;
use super::claims::Claims;
use super::conflict::{Conflict, Occupant, Refusal, since};
use super::holder::{Holder, Process, parent};
use super::key::Key;
use super::probe::{Verdict, probe};
use super::reserved;
use super::row::{self, Entry, Row};
use super::schema::{self, Failure};
use super::table::{Event, State};
use crate::network::pool::Pool;
use crate::network::rules::OwnAddress;
use crate::plan::Directories;

/// Transitions that are remembered, and a few more: what is older goes with every so many.
const HISTORY: i64 = 10_000;
const FORGETTING: i64 = 64;
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
            let mut change = Change { tx, now, noted: 0..0 };
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

/// The one transaction that is going on.
struct Change<'a> {
    tx: Transaction<'a>,
    now: i64,
    /// The rows of history that it wrote.
    noted: Range<i64>,
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
        let (event, cause) = proof(&row.key);
        self.step(row, event, cause)
    }

    /// Out of its holder's hands, and free if a try shows that nobody uses it.
    fn give_back(&mut self, row: Row, cause: &str) -> rusqlite::Result<Option<Row>> {
        let proof = proof(&row.key);
        self.walk(row, &[(Event::Release, cause), proof])
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
            let way = [(Event::Request, "requested"), (Event::Grant, "nothing in the way")];
            self.walk(free, &way)?;
            leases.push(Lease { key: key.clone(), fence });
        }
        Ok(leases)
    }

    /// One step, by the table. `None` when it is free.
    fn step(&mut self, row: Row, event: Event, cause: &str) -> rusqlite::Result<Option<Row>> {
        self.walk(row, &[(event, cause)])
    }

    /// The one way a lease changes: by the table, with a row of history for each step. Nobody sees
    /// what is between the first and the last, so only that is written. `None` when it is free.
    fn walk(&mut self, mut row: Row, way: &[(Event, &str)]) -> rusqlite::Result<Option<Row>> {
        let first = row.state;
        for (event, cause) in way {
            let was = row.state;
            row.state = was.after(*event);
            if row.state != was {
                self.note(&row, was, cause)?;
            }
        }
        match (first, row.state) {
            (was, next) if was == next => {}
            (_, State::Free) => row::delete(&self.tx, &row)?,
            (State::Free, _) => row::insert(&self.tx, &row)?,
            _ => row::update(&self.tx, &row)?,
        }
        Ok((row.state != State::Free).then_some(row))
    }

    fn note(&mut self, row: &Row, was: State, cause: &str) -> rusqlite::Result<()> {
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
            row.state.name(),
            cause,
            holder,
            pid
        ])?;
        let id = self.tx.last_insert_rowid();
        let first = if self.noted.is_empty() { id } else { self.noted.start };
        self.noted = first..id + 1;
        Ok(())
    }

    /// Keep hardly more history than is to be remembered: not every change looks for what is older.
    fn forget(&self) -> rusqlite::Result<()> {
        let Range { start, end } = self.noted;
        if start / FORGETTING != end / FORGETTING {
            self.tx.execute("DELETE FROM history WHERE id < ?1", [end - HISTORY])?;
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

/// What a try tells of a lease in quarantine.
fn proof(key: &Key) -> (Event, &'static str) {
    match probe(key) {
        Verdict::Free => (Event::ProvedFree, "found unused"),
        Verdict::Taken(_) => (Event::ProvedTaken, "found in use"),
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
