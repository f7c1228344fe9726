//! Leases and their history as the ledger's tables hold them.
//!
//! Invariant: what can't be read as a lease is an error, never left out. Decides nothing.

use rusqlite::types::Type;
use rusqlite::{Connection, params};

use super::holder::{Holder, Process};
use super::key::Key;
use super::table::State;

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What.
    pub key: Key,
    /// Where it stands.
    pub state: State,
    /// Its number; no other lease ever has it.
    pub fence: i64,
    /// When it was taken, in milliseconds since 1970.
    pub since: i64,
    /// Who took it.
    pub holder: Holder,
    /// The process that keeps it in use when the holder is gone.
    pub guard: Option<Process>,
}

impl Row {
    /// Whether its holder, or what that left behind, is still there.
    pub fn is_alive(&self) -> bool {
        match self.state {
            State::Held => self.holder.process.is_alive(),
            State::Draining => self.guard.is_some_and(|guard| guard.is_alive()),
            _ => false,
        }
    }
}

/// One transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, in milliseconds since 1970.
    pub time: i64,
    /// What.
    pub key: String,
    /// The lease's number.
    pub fence: i64,
    /// State before.
    pub was: String,
    /// State after.
    pub became: String,
    /// Why.
    pub cause: String,
    /// `shop.web.1`.
    pub holder: String,
    /// Its process.
    pub pid: i32,
}

const COLUMNS: &str = "SELECT key, state, fence, since, app, service, instance, pid, started, \
                       namespace, guard_pid, guard_started FROM lease";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let strange = |column, text: &str| {
        let cause = format!("{text:?} is not what was ever written there");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, cause.into())
    };
    let (key, state): (String, String) = (row.get(0)?, row.get(1)?);
    let namespace = row.get::<_, i64>(9)? as u64;
    let guard = match (row.get(10)?, row.get::<_, Option<i64>>(11)?) {
        (Some(pid), Some(started)) => Some(Process { pid, started: started as u64, namespace }),
        _ => None,
    };
    Ok(Row {
        key: key.parse().map_err(|_| strange(0, &key))?,
        state: State::named(&state).ok_or_else(|| strange(1, &state))?,
        fence: row.get(2)?,
        since: row.get(3)?,
        holder: Holder {
            app: row.get(4)?,
            service: row.get(5)?,
            instance: row.get(6)?,
            process: Process { pid: row.get(7)?, started: row.get::<_, i64>(8)? as u64, namespace },
        },
        guard,
    })
}

/// Every lease that could be in the way of others in this room.
pub(super) fn room(db: &Connection, room: &str) -> rusqlite::Result<Vec<Row>> {
    let mut statement = db.prepare_cached(&format!("{COLUMNS} WHERE room = ?1 ORDER BY fence"))?;
    statement.query_map([room], read)?.collect()
}

/// Every lease.
pub(super) fn all(db: &Connection) -> rusqlite::Result<Vec<Row>> {
    db.prepare(&format!("{COLUMNS} ORDER BY fence"))?.query_map([], read)?.collect()
}

/// Every transition that is remembered of a room.
pub(super) fn history(db: &Connection, room: &str) -> rusqlite::Result<Vec<Entry>> {
    let sql = "SELECT time, key, fence, was, became, cause, holder, pid FROM history
               WHERE room = ?1 ORDER BY id";
    let entry = |row: &rusqlite::Row<'_>| {
        Ok(Entry {
            time: row.get(0)?,
            key: row.get(1)?,
            fence: row.get(2)?,
            was: row.get(3)?,
            became: row.get(4)?,
            cause: row.get(5)?,
            holder: row.get(6)?,
            pid: row.get(7)?,
        })
    };
    db.prepare(sql)?.query_map([room], entry)?.collect()
}

pub(super) fn insert(db: &Connection, row: &Row) -> rusqlite::Result<()> {
    let sql = "INSERT INTO lease (room, key, state, fence, since, app, service, instance, pid,
               started, namespace) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let Holder { app, service, instance, process } = &row.holder;
    let (room, key) = (row.key.room(), row.key.to_string());
    let (started, namespace) = (process.started as i64, process.namespace as i64);
    db.prepare_cached(sql)?.execute(params![
        room,
        key,
        row.state.name(),
        row.fence,
        row.since,
        app,
        service,
        instance,
        process.pid,
        started,
        namespace
    ])?;
    Ok(())
}

pub(super) fn update(db: &Connection, row: &Row) -> rusqlite::Result<()> {
    let sql = "UPDATE lease SET state = ?2 WHERE fence = ?1";
    db.prepare_cached(sql)?.execute((row.fence, row.state.name()))?;
    Ok(())
}

pub(super) fn delete(db: &Connection, row: &Row) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM lease WHERE fence = ?1")?.execute([row.fence])?;
    Ok(())
}
