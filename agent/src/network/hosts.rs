//! The program's /etc/hosts: its own name, the services it needs, and the granted host names with
//! the very addresses that are granted.
//!
//! Invariant: a program that looks a granted name up gets an address it may connect to, also after
//! the name's addresses have changed. The file is hostctl's; the program can't write it.

use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use super::meaning::Answers;
use crate::dns;
use crate::plan::{HostFacts, Plan};
use crate::store::{self, StoreError};

/// Folder of these files, in the run directory.
const FOLDER: &str = "hosts";

/// Why the file is not there.
#[derive(Debug)]
pub enum HostsError {
    /// Its folder can't be used.
    Store(StoreError),
    /// It can't be written.
    Write(PathBuf, io::Error),
}

impl fmt::Display for HostsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostsError::Store(error) => error.fmt(f),
            HostsError::Write(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for HostsError {}

/// Where the file of a plan is on the host: it has one only if its content changes as it runs.
pub fn path(plan: &Plan, facts: &HostFacts) -> Option<PathBuf> {
    let changes = !super::meaning::names(plan).is_empty();
    changes.then(|| facts.directories.run.join(FOLDER).join(plan.instance_name()))
}

/// The file's content.
pub fn content(plan: &Plan, answers: &Answers) -> String {
    let host = plan.app.replace('+', "-");
    let own = plan.listens_on().filter(|own| !own.is_loopback());
    let mut text = format!(
        "127.0.0.1 localhost{}\n",
        if own.is_none() { format!(" {host}") } else { String::new() }
    );
    text.push_str("::1 localhost ip6-localhost\n");
    if let Some(own) = own {
        let _ = writeln!(text, "{own} {host}");
    }
    for need in &plan.needs {
        // An app that needs a service has at least two.
        let known = dns::service_name(&plan.app, &need.name, false);
        let _ = writeln!(text, "{} {} {known}.{}", need.host, need.name, dns::DOMAIN);
    }
    for (name, addresses) in &answers.names {
        for address in addresses.iter().filter(|_| name != "localhost") {
            let _ = writeln!(text, "{address} {name}");
        }
    }
    text
}

/// A file that changes while the program runs; removed when dropped.
#[derive(Debug)]
pub struct Hosts {
    file: File,
    path: PathBuf,
    length: usize,
}

impl Hosts {
    /// Write the first version.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(plan: &Plan, facts: &HostFacts, answers: &Answers) -> Result<Hosts, HostsError> {
        let folder = store::open(&facts.directories.run, &[FOLDER]).map_err(HostsError::Store)?;
        drop(folder);
        let path = facts.directories.run.join(FOLDER).join(plan.instance_name());
        let failed = |error| HostsError::Write(path.clone(), error);
        // A file of another copy stays as it is, for whoever has it mounted.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = File::options().write(true).create_new(true).mode(0o644).open(&path);
        let mut hosts = Hosts { file: file.map_err(failed)?, path: path.clone(), length: 0 };
        hosts.put(&content(plan, answers)).map_err(failed)?;
        Ok(hosts)
    }

    /// Write it again; a reader at that moment sees whole lines of the one or the other.
    pub fn rewrite(&mut self, plan: &Plan, answers: &Answers) {
        // A full disk leaves it as it was, which is what the rules of before allow.
        let _ = self.put(&content(plan, answers));
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        // Never shorter than before while it is written: blank lines instead of half of one.
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(bytes.len().max(self.length), b'\n');
        self.file.write_all_at(&bytes, 0)?;
        self.length = bytes.len();
        Ok(())
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
