//! One transaction of the ledger at work.
//!
//! Invariant: [`Change::walk`] alone changes a lease, by the table of [`super::super::table`], with a
//! row of history for each transition.

use std::ops::Range;

use rusqlite::{Transaction, params};

use super::Lease;
use crate::lease::claims::Claims;
use crate::lease::conflict::{Conflict, Occupant, since};
use crate::lease::holder::{Holder, parent};
use crate::lease::key::Key;
use crate::lease::probe::{Owner, Verdict, probe};
use crate::lease::row::{self, Row};
use crate::lease::table::{Event, State};
use crate::network::pool::Pool;
use crate::network::rules::OwnAddress;

/// Transitions that are remembered, and a few more: what is older goes with every so many.
const HISTORY: i64 = 10_000;
const FORGETTING: i64 = 64;

/// The one transaction that is going on.
pub(super) struct Change<'a> {
    pub(super) tx: Transaction<'a>,
    pub(super) now: i64,
    /// The rows of history that it wrote.
    noted: Range<i64>,
}

impl<'a> Change<'a> {
    pub(super) fn new(tx: Transaction<'a>, now: i64) -> Change<'a> {
        Change { tx, now, noted: 0..0 }
    }

    pub(super) fn room(&self, key: &Key) -> rusqlite::Result<Vec<Row>> {
        row::room(&self.tx, &key.room())
    }

    /// The first address that nobody holds; when all are held, the first, which then is in the way.
    pub(super) fn free_address(&mut self, pool: Pool) -> rusqlite::Result<Option<OwnAddress>> {
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
    pub(super) fn conflicts(
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

    /// Those of these keys that others hold by a lease, whoever has sockets there. What an earlier
    /// holder for the same service has left is its next one's: it is the service's own instances
    /// that a try would meet.
    pub(super) fn held_by_others(
        &mut self,
        keys: &[Key],
        asker: &Holder,
    ) -> rusqlite::Result<Vec<Conflict>> {
        let mut conflicts = Vec::new();
        for key in keys {
            let mut held = Vec::new();
            for row in self.room(key)? {
                let left = row.holder.is_like(asker);
                match self.reap(row)? {
                    Some(row) if left && row.state == State::Quarantined => {
                        held.extend(self.proved(vec![row])?);
                    }
                    row => held.extend(row),
                }
            }
            let blocking = key.in_the_way(&held, |row| &row.key);
            if !blocking.is_empty() {
                let occupants = blocking.into_iter().map(|row| self.occupant(row)).collect();
                conflicts.push(Conflict::Held(key.clone(), occupants));
            }
        }
        Ok(conflicts)
    }

    /// A port in use without a lease: by a stranger, or by an app of ours that may not.
    fn foreign(&self, key: &Key, owner: Option<Owner>) -> rusqlite::Result<Conflict> {
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
    pub(super) fn reap(&mut self, row: Row) -> rusqlite::Result<Option<Row>> {
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
    pub(super) fn clear(&mut self, row: Row) -> rusqlite::Result<Option<Row>> {
        if row.state != State::Quarantined {
            return Ok(Some(row));
        }
        let (event, cause) = proof(&row.key);
        self.step(row, event, cause)
    }

    /// Out of its holder's hands, and free if a try shows that nobody uses it.
    pub(super) fn give_back(&mut self, row: Row, cause: &str) -> rusqlite::Result<Option<Row>> {
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

    pub(super) fn grant(&mut self, keys: &[Key], holder: &Holder) -> rusqlite::Result<Vec<Lease>> {
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
    pub(super) fn step(
        &mut self,
        row: Row,
        event: Event,
        cause: &str,
    ) -> rusqlite::Result<Option<Row>> {
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
    pub(super) fn forget(&self) -> rusqlite::Result<()> {
        let Range { start, end } = self.noted;
        if start / FORGETTING != end / FORGETTING {
            self.tx.execute("DELETE FROM history WHERE id < ?1", [end - HISTORY])?;
        }
        Ok(())
    }

    pub(super) fn occupant(&self, row: &Row) -> Occupant {
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
pub(in crate::lease) fn void_all(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let free = State::Held.after(Event::Boot).name();
    tx.execute(
        "INSERT INTO history (time, room, key, fence, was, became, cause, holder, pid)
         SELECT since, room, key, fence, state, ?1, 'boot', app, pid FROM lease",
        [free],
    )?;
    tx.execute("DELETE FROM lease", [])?;
    Ok(())
}
