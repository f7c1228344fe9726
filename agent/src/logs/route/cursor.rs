//! How far each sink is: `cursors.json` below RUN, and now and then beside the log.
//!
//! Invariant: a file is replaced as a whole, so whatever is killed when, it is one of those that were
//! written; it never names more than the sinks have. The one below RUN is written before anybody goes
//! on, costs no disk, and is gone with the boot. The one beside the log is older, and synced: after a
//! loss of power what is in the log is sent again from there, at least once.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::log::Place;
use crate::logs::sink::file::Mark;
use crate::store;

/// Version of the file's format.
const VERSION: u32 = 1;
/// The file.
const NAME: &str = "cursors.json";

/// How far a sink is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// It has, or does not want, the records up to this number; `None`: whatever the log begins
    /// with comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Where the log goes on; `None` when only the number is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Records up to this number were on their way, as one request: they are sent so again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// What the encoder goes on with.
    #[serde(default)]
    pub mark: u64,
    /// For a file: how far it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Mark>,
}

/// A sink in the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Noted {
    /// As far as it has been told.
    now: Cursor,
    /// For a file: as far as that is on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    synced: Option<Cursor>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    v: u32,
    boot_id: String,
    sinks: BTreeMap<String, Noted>,
}

/// The cursors of an instance's sinks.
#[derive(Debug)]
pub struct Cursors {
    folder: PathBuf,
    run: PathBuf,
    boot_id: String,
    sinks: BTreeMap<String, Noted>,
    damaged: bool,
}

impl Cursors {
    /// Those of the log in `folder`, whose process has the folder `run`. The log has records up to
    /// number `last`: what a cursor says beyond that, it says of records that were lost in a power
    /// cut, and whose numbers are given again.
    pub fn open(folder: &Path, run: &Path, boot_id: &str, last: u64) -> Cursors {
        let of_boot = read(run).ok().flatten().filter(|document| document.boot_id == boot_id);
        let (document, damaged) = match of_boot {
            Some(document) => (Some(document), false),
            None => match read(folder) {
                Ok(document) => (document, false),
                Err(_) => (None, true),
            },
        };
        let same_boot = document.as_ref().is_some_and(|document| document.boot_id == boot_id);
        let mut sinks = document.map(|document| document.sinks).unwrap_or_default();
        for noted in sinks.values_mut() {
            if let Some(synced) = noted.synced.take_if(|_| !same_boot) {
                noted.now = synced;
            }
            let beyond = noted.now.seq.is_some_and(|seq| seq > last);
            if beyond {
                noted.now = Cursor { seq: Some(last), place: None, until: None, ..noted.now };
            }
        }
        let (folder, run) = (folder.to_owned(), run.to_owned());
        Cursors { folder, run, boot_id: boot_id.to_owned(), sinks, damaged }
    }

    /// Whether there were cursors that can't be read: sinks without one have to be told everything.
    pub fn were_damaged(&self) -> bool {
        self.damaged
    }

    /// How far a sink is; `None` for one that is new.
    pub fn of(&self, id: &str) -> Option<Cursor> {
        self.sinks.get(id).map(|noted| noted.now)
    }

    /// Note how far a sink is.
    pub fn set(&mut self, id: &str, cursor: Cursor) {
        match self.sinks.get_mut(id) {
            Some(noted) => noted.now = cursor,
            None => {
                self.sinks.insert(id.to_owned(), Noted { now: cursor, synced: None });
            }
        }
    }

    /// Note that what a sink has is on the disk.
    pub fn synced(&mut self, id: &str) {
        if let Some(noted) = self.sinks.get_mut(id) {
            noted.synced = Some(noted.now);
        }
    }

    /// Forget the sinks that are not wanted any more.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.sinks.retain(|id, _| wanted(id));
    }

    /// Write them down for whoever goes on after a kill.
    ///
    /// # Errors
    /// What the file system says; the old ones stand then, and what was delivered since is
    /// delivered again if this process is killed.
    pub fn save(&self) -> io::Result<()> {
        store::replace(&self.run, NAME, &self.document())
    }

    /// Write them down for whoever goes on after the boot. They are on the disk then.
    ///
    /// # Errors
    /// What the file system says; the old ones stand then.
    pub fn keep(&self) -> io::Result<()> {
        store::replace_synced(&self.folder, NAME, &self.document())
    }

    fn document(&self) -> Document {
        Document { v: VERSION, boot_id: self.boot_id.clone(), sinks: self.sinks.clone() }
    }
}

/// The file in this folder, if there is one.
fn read(folder: &Path) -> io::Result<Option<Document>> {
    match fs::read(folder.join(NAME)) {
        Ok(bytes) => match serde_json::from_slice::<Document>(&bytes) {
            Ok(document) if document.v == VERSION => Ok(Some(document)),
            Ok(_) => Err(io::Error::other("of another version")),
            Err(error) => Err(error.into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
