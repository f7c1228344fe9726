//! The desired state of every app, on disk.
//!
//! Owns the tables of `STATE/state.db` that hostd uses. Invariant: every method is one transaction,
//! synced before it returns; what was written is what a hostd that starts after any crash reads.

use std::path::PathBuf;

use rusqlite::{Connection, TransactionBehavior, params};
use serde::de::DeserializeOwned;

use super::balance::said::Said;
use super::record::{AppRecord, KEPT_VERSIONS, VersionRecord};
use crate::plan::Directories;
use crate::state::{self, StateError};

/// The file, open for hostd alone.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
}

/// An app and its versions, by rising number.
pub type Kept = (AppRecord, Vec<VersionRecord>);

impl Store {
    /// Open it, and look it over once.
    ///
    /// # Errors
    /// When it is broken or can't be used; it is never replaced by an empty one.
    pub fn open(directories: &Directories) -> Result<Store, StateError> {
        let db = state::open(directories)?;
        let store = Store { db, path: directories.state_file() };
        let said: String = store
            .db
            .pragma_query_value(None, "quick_check", |row| row.get(0))
            .map_err(|error| store.failed(error))?;
        match said.as_str() {
            "ok" => Ok(store),
            said => Err(StateError::Broken(store.path, said.to_owned())),
        }
    }

    /// One in memory alone, for what is not to be kept.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn passing() -> Result<Store, StateError> {
        let path = PathBuf::from(":memory:");
        let db = state::passing().map_err(|error| StateError::from_sqlite(&path, error))?;
        Ok(Store { db, path })
    }

    /// Everything that is deployed.
    ///
    /// # Errors
    /// When a record can't be understood.
    pub fn load(&self) -> Result<Vec<Kept>, StateError> {
        let apps: Vec<AppRecord> = self.records("SELECT record FROM app ORDER BY name", "")?;
        apps.into_iter()
            .map(|app| {
                let sql = "SELECT record FROM version WHERE app = ?1 ORDER BY number";
                let versions = self.records(sql, &app.name)?;
                Ok((app, versions))
            })
            .collect()
    }

    /// Write an app down, and versions of it that are new or changed.
    ///
    /// # Errors
    /// When the disk takes nothing; nothing is changed then.
    pub fn put(&mut self, app: &AppRecord, versions: &[&VersionRecord]) -> Result<(), StateError> {
        self.change(|change| {
            let sql = "INSERT OR REPLACE INTO app VALUES (?1, ?2)";
            change.execute(sql, params![app.name, text(app)])?;
            for version in versions {
                let sql = "INSERT OR REPLACE INTO version VALUES (?1, ?2, ?3)";
                change.execute(sql, params![app.name, version.number, text(version)])?;
            }
            let sql =
                "DELETE FROM version WHERE app = ?1 AND number NOT IN (?2, ?3) AND number NOT IN
                       (SELECT number FROM version WHERE app = ?1 ORDER BY number DESC LIMIT ?4)";
            let promoted = app.promoted.unwrap_or(app.target);
            change.execute(sql, params![app.name, app.target, promoted, KEPT_VERSIONS as i64])?;
            Ok(())
        })
    }

    /// What was said of the balancer.
    ///
    /// # Errors
    /// When a record can't be understood.
    pub fn said(&self) -> Result<Vec<Said>, StateError> {
        self.records("SELECT record FROM balancing ORDER BY name", "")
    }

    /// Write down what is said of a service.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn say(&mut self, said: &Said) -> Result<(), StateError> {
        self.change(|change| {
            let sql = "INSERT OR REPLACE INTO balancing VALUES (?1, ?2)";
            change.execute(sql, params![said.name, text(said)]).map(|_| ())
        })
    }

    /// Nothing is said of a service any more.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn unsay(&mut self, name: &str) -> Result<(), StateError> {
        self.change(|change| {
            change.execute("DELETE FROM balancing WHERE name = ?1", [name]).map(|_| ())
        })
    }

    /// Forget an app.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn remove(&mut self, app: &str) -> Result<(), StateError> {
        self.change(|change| {
            change.execute("DELETE FROM app WHERE name = ?1", [app])?;
            change.execute("DELETE FROM version WHERE app = ?1", [app])?;
            Ok(())
        })
    }

    fn change(
        &mut self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StateError> {
        let path = self.path.clone();
        let run = || {
            let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            body(&change)?;
            change.commit()
        };
        run().map_err(|error| StateError::from_sqlite(&path, error))
    }

    fn records<T: DeserializeOwned>(&self, sql: &str, app: &str) -> Result<Vec<T>, StateError> {
        let rows = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.db.prepare_cached(sql)?;
            let get = |row: &rusqlite::Row<'_>| row.get(0);
            match statement.parameter_count() {
                0 => statement.query_map([], get)?.collect(),
                _ => statement.query_map([app], get)?.collect(),
            }
        };
        let rows = rows().map_err(|error| self.failed(error))?;
        let read = |row: &String| {
            serde_json::from_str(row)
                .map_err(|error| StateError::Broken(self.path.clone(), error.to_string()))
        };
        rows.iter().map(read).collect()
    }

    fn failed(&self, error: rusqlite::Error) -> StateError {
        StateError::from_sqlite(&self.path, error)
    }
}

/// A record as JSON; all of them are maps with text keys, which JSON can hold.
fn text(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).unwrap_or_default()
}
