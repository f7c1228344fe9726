//! Forwarding, switched on for interfaces of the host as long as an instance needs it.
//!
//! Owns the files `RUN/forwarding/NETNS-FAMILY-INTERFACE` and the tables `hostctl-guard-*`.
//! Invariant: an interface we switched on has a record, which everybody who needs it has locked
//! shared, and a guard, so that it forwards to instances and nothing else, whatever is killed when;
//! whoever finds a record nobody has locked restores what was. A setting that was on before, or
//! that somebody else switched on meanwhile, is left alone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use host_sys::Errno;
use host_sys::lock::{self, Share};
use host_sys::namespace;
use host_sys::netlink::{self, Netlink};
use loadbalancer::nft::{Batch, Family};

use super::{PrivateError, commit, ruleset, settings};
use crate::network::link::Links;

/// What the host does with packets of IPv6 that are not for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Internet {
    /// It can't be made to forward them without side effects.
    Ipv4Only,
    /// An interface can be switched on (`force_forwarding`, kernel 6.17).
    Ipv6Switched,
    /// It forwards them anyway.
    Ipv6Everywhere,
}

impl Internet {
    /// Ask the host.
    pub(super) fn of_host() -> Internet {
        if settings::is_on(&settings::ipv6("all", "forwarding")) {
            Internet::Ipv6Everywhere
        } else if settings::ipv6("all", "force_forwarding").exists() {
            Internet::Ipv6Switched
        } else {
            Internet::Ipv4Only
        }
    }

    /// The protocols that interfaces are switched on for.
    pub(super) fn switched(self, ipv6: bool) -> &'static [Family] {
        match self {
            Internet::Ipv6Switched if ipv6 => &[Family::Ipv4, Family::Ipv6],
            _ => &[Family::Ipv4],
        }
    }
}

/// Forwarding of one protocol on one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Switch {
    family: Family,
    interface: String,
}

impl Switch {
    pub(super) fn new(family: Family, interface: String) -> Switch {
        Switch { family, interface }
    }

    fn setting(&self) -> PathBuf {
        match self.family {
            Family::Ipv4 => settings::ipv4(&self.interface, "forwarding"),
            Family::Ipv6 => settings::ipv6(&self.interface, "force_forwarding"),
        }
    }

    /// What somebody sets who wants the whole host to be a router; it changes every interface.
    fn everywhere(&self) -> bool {
        settings::is_on(&match self.family {
            Family::Ipv4 => settings::ipv4("all", "forwarding"),
            Family::Ipv6 => settings::ipv6("all", "forwarding"),
        })
    }

    /// `ipv4-eth0`.
    fn label(&self) -> String {
        let family = match self.family {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        };
        format!("{family}-{}", self.interface)
    }

    fn from_label(label: &str) -> Option<Switch> {
        let (family, interface) = label.split_once('-')?;
        let family = match family {
            "ipv4" => Family::Ipv4,
            "ipv6" => Family::Ipv6,
            _ => return None,
        };
        Some(Switch { family, interface: interface.to_owned() })
    }

    fn guard(&self) -> String {
        format!("hostctl-guard-{}", self.label())
    }

    fn change_guard(&self, change: impl Fn(Batch) -> Batch) -> Result<(), PrivateError> {
        let object = || format!("table {}", self.guard());
        let opened = Netlink::open(netlink::Family::Netfilter);
        let netlink = opened.map_err(|errno| PrivateError::Rules(object(), errno.into()))?;
        // Deleted first: a table that is there would get its rules a second time.
        commit(&netlink, &change(Batch::default().delete(&self.guard())))
    }

    /// Which device this is, and whether the whole host forwards: what a record says, so that a
    /// device of the same name that came later is not taken for it.
    fn circumstances(&self, links: &Links) -> Result<Option<String>, PrivateError> {
        let index = links.index(&self.interface)?;
        Ok(index.map(|index| format!("{index} {}\n", u8::from(self.everywhere()))))
    }
}

/// Forwarding that is on because of us.
#[derive(Debug)]
pub(super) struct Held {
    /// Of what.
    pub(super) switch: Switch,
    record: Option<File>,
    directory: PathBuf,
}

impl Held {
    /// Whether it is still that device, and nobody made the whole host a router meanwhile.
    pub(super) fn is_current(&self, links: &Links) -> Result<bool, PrivateError> {
        let path = path(&self.directory, &self.switch)?;
        let now = self.switch.circumstances(links)?;
        Ok(now.is_some_and(|now| fs::read_to_string(path).is_ok_and(|then| then == now)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Without a lock of ours on it; what can't be restored now is left to the next sweep.
        self.record = None;
        let _ = turn(&self.directory).and_then(|_turn| restore(&self.directory, &self.switch));
    }
}

/// Switch forwarding on for an interface. `None` where there is nothing to do: it was on already,
/// or there is no such interface.
pub(super) fn hold(
    directory: &Path,
    switch: Switch,
    links: &Links,
) -> Result<Option<Held>, PrivateError> {
    let _turn = turn(directory)?;
    let Some(now) = switch.circumstances(links)? else { return Ok(None) };
    let path = path(directory, &switch)?;
    let failed = |error| PrivateError::Record(path.clone(), error);
    let on = settings::is_on(&switch.setting());
    let ours = fs::read_to_string(&path).is_ok_and(|then| then == now);
    if on && !ours {
        return Ok(None);
    }
    let record = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let record = record.map_err(failed)?;
    lock::lock(&record, Share::Shared).map_err(|errno| failed(errno.into()))?;
    // In this order: a kill in between leaves a record, or a guard too many, never one too few.
    let noted = if ours { Ok(()) } else { fs::write(&path, &now).map_err(failed) };
    let done = noted.and_then(|()| {
        let guard = ruleset::guard(switch.guard(), switch.family, &switch.interface);
        switch.change_guard(|batch| batch.create(&guard))?;
        settings::set(switch.setting(), "1")
    });
    if let Err(error) = done {
        drop(record);
        let _ = restore(directory, &switch); // the first failure is the one to tell
        return Err(error);
    }
    Ok(Some(Held { switch, record: Some(record), directory: directory.to_owned() }))
}

/// Restore everything in this network namespace that nobody needs.
pub(super) fn sweep(directory: &Path) -> Result<(), PrivateError> {
    let failed = |error| PrivateError::Record(directory.to_owned(), error);
    let _turn = turn(directory)?;
    let prefix = format!("{}-", namespace_inode()?);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let label = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        if let Some(switch) = label.and_then(Switch::from_label) {
            restore(directory, &switch)?;
        }
    }
    Ok(())
}

/// Undo what a record says, if nobody has it locked.
fn restore(directory: &Path, switch: &Switch) -> Result<(), PrivateError> {
    let path = path(directory, switch)?;
    let failed = |error| PrivateError::Record(path.clone(), error);
    let record = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    if !lock::try_lock(&record, Share::Alone).map_err(|errno| failed(errno.into()))? {
        return Ok(());
    }
    let then = fs::read_to_string(&path).map_err(failed)?;
    if switch.circumstances(&Links::open()?)?.is_some_and(|now| now == then) {
        settings::set(switch.setting(), "0")?;
    }
    switch.change_guard(|batch| batch)?;
    fs::remove_file(&path).map_err(failed)
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
