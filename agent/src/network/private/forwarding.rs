//! Forwarding, switched on for interfaces of the host as long as an instance needs it.
//!
//! Owns the files `RUN/forwarding/NETNS-FAMILY-INTERFACE` and the tables `hostctl-guard-*`.
//! Invariant: an interface we switched on has a record, which everybody who needs it has locked
//! shared, and a guard, so that it forwards to instances and nothing else, whatever is killed when;
//! whoever finds a record nobody has locked restores what was. A setting that was on before, or
//! that somebody else switched on meanwhile, is left alone.

mod switch;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use host_sys::Errno;
use host_sys::lock::{self, Share};
use host_sys::namespace;
use host_sys::netlink::{Family, Netlink};
use loadbalancer::nft::Batch;

use super::{PrivateError, commit, ruleset, settings};
use crate::network::link::Links;
pub(super) use switch::{Internet, Switch};

/// Forwarding that is on because of us, and off again when this is dropped, if nobody else needs
/// it.
#[derive(Debug)]
pub(super) struct Forwarding {
    directory: PathBuf,
    held: Vec<Held>,
}

/// A record with our lock on it.
#[derive(Debug)]
struct Held {
    switch: Switch,
    record: File,
}

impl Forwarding {
    /// None yet; records are in `directory`.
    pub(super) fn none(directory: PathBuf) -> Forwarding {
        Forwarding { directory, held: Vec::new() }
    }

    /// Switch on what is wanted and off. What is wanted no more, has come again as another device,
    /// or was switched on by somebody else meanwhile, is let go of.
    pub(super) fn refresh(&mut self, wanted: Vec<Switch>) -> Result<(), PrivateError> {
        let links = Links::open()?;
        let _turn = turn(&self.directory)?;
        let mut gone = Vec::new();
        for held in std::mem::take(&mut self.held) {
            let now = held.switch.circumstances(&links)?;
            let then = fs::read_to_string(path(&self.directory, &held.switch)?).ok();
            if wanted.contains(&held.switch) && now.is_some() && now == then {
                self.held.push(held);
            } else {
                gone.push(held.switch);
            }
        }
        restore(&self.directory, &gone)?;
        for switch in wanted {
            if !self.held.iter().any(|held| held.switch == switch) {
                let record = hold(&self.directory, &switch, &links)?;
                self.held.extend(record.map(|record| Held { switch, record }));
            }
        }
        Ok(())
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        let unlocked = |Held { switch, record }| {
            drop(record);
            switch
        };
        let switches: Vec<Switch> = self.held.drain(..).map(unlocked).collect();
        if !switches.is_empty() {
            // What can't be restored now is left to the next sweep.
            let _ = turn(&self.directory).and_then(|_turn| restore(&self.directory, &switches));
        }
    }
}

/// Switch forwarding on for an interface; the record, locked. `None` where there is nothing to do:
/// it was on already, or there is no such interface.
fn hold(directory: &Path, switch: &Switch, links: &Links) -> Result<Option<File>, PrivateError> {
    let Some(now) = switch.circumstances(links)? else { return Ok(None) };
    let path = path(directory, switch)?;
    let failed = |error| PrivateError::Record(path.clone(), error);
    let ours = fs::read_to_string(&path).is_ok_and(|then| then == now);
    if settings::is_on(&switch.setting()) && !ours {
        return Ok(None);
    }
    let record = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let record = record.map_err(failed)?;
    lock::lock(&record, Share::Shared).map_err(|errno| failed(errno.into()))?;
    // In this order: a kill in between leaves a record, or a guard too many, never one too few.
    let noted = if ours { Ok(()) } else { fs::write(&path, &now).map_err(failed) };
    let done = noted.and_then(|()| {
        raise_guard(switch)?;
        settings::set(switch.setting(), "1")
    });
    if let Err(error) = done {
        drop(record);
        let _ = restore(directory, std::slice::from_ref(switch)); // the first failure is told
        return Err(error);
    }
    Ok(Some(record))
}

fn raise_guard(switch: &Switch) -> Result<(), PrivateError> {
    let guard = ruleset::guard(switch.guard(), switch.family, &switch.interface);
    match commit(&netfilter()?, &Batch::default().create(&guard)) {
        // It came in one piece: one that is there is whole.
        Err(PrivateError::Rules(_, refusal)) if refusal.errno == Errno::EEXIST => Ok(()),
        result => result,
    }
}

/// Restore everything in this network namespace that nobody needs.
pub(super) fn sweep(directory: &Path) -> Result<(), PrivateError> {
    let failed = |error| PrivateError::Record(directory.to_owned(), error);
    let _turn = turn(directory)?;
    let prefix = format!("{}-", namespace_inode()?);
    let mut switches = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let label = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        switches.extend(label.and_then(Switch::from_label));
    }
    restore(directory, &switches)
}

/// Undo what records say that nobody has locked.
fn restore(directory: &Path, switches: &[Switch]) -> Result<(), PrivateError> {
    let links = Links::open()?;
    let mut restored = Vec::new();
    // Deleting a table waits for packets on their way through it: all at once.
    let mut guards = Batch::default();
    for switch in switches {
        let path = path(directory, switch)?;
        let failed = |error| PrivateError::Record(path.clone(), error);
        let record = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(failed)?,
        };
        if !lock::try_lock(&record, Share::Alone).map_err(|errno| failed(errno.into()))? {
            continue;
        }
        let then = fs::read_to_string(&path).map_err(failed)?;
        if switch.circumstances(&links)?.is_some_and(|now| now == then) {
            settings::set(switch.setting(), "0")?;
        }
        guards = guards.delete(&switch.guard());
        restored.push(path);
    }
    if restored.is_empty() {
        return Ok(());
    }
    commit(&netfilter()?, &guards)?;
    let remove = |path| fs::remove_file(&path).map_err(|error| PrivateError::Record(path, error));
    restored.into_iter().try_for_each(remove)
}

fn netfilter() -> Result<Netlink, PrivateError> {
    let opened = Netlink::open(Family::Netfilter);
    opened.map_err(|errno| PrivateError::Rules("a socket for it".to_owned(), errno.into()))
}

/// Records are looked at and changed by one process at a time, for moments.
fn turn(directory: &Path) -> Result<File, PrivateError> {
    let path = directory.join("lock");
    let failed = |error| PrivateError::Record(path.clone(), error);
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(failed)?;
    lock::lock(&file, Share::Alone).map_err(|errno| failed(errno.into()))?;
    Ok(file)
}

fn path(directory: &Path, switch: &Switch) -> Result<PathBuf, PrivateError> {
    Ok(directory.join(format!("{}-{}", namespace_inode()?, switch.label())))
}

/// Interfaces of two network namespaces may have one name.
fn namespace_inode() -> Result<u64, PrivateError> {
    let namespace = namespace::current_network().map_err(PrivateError::Namespace)?;
    let metadata = File::from(namespace).metadata();
    Ok(metadata.map_err(|_| PrivateError::Namespace(Errno::EBADF))?.ino())
}
