//! Finding the core of a program that has just ended, and the files that it was made of.
//!
//! Invariant: only what was granted to the app is looked at, by way of the host and without following
//! a link: the app may have put anything there. A core is a regular file of the app's own user, of the
//! name that the kernel gives, written while the app ran. Nothing is changed or removed.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use host_sys::file::{self, Kind};

use super::core::{self, Bytes, Crash};
use super::pattern::{self, Destination, Name};
use crate::plan::{Grant, GrantKind, Plan};
use manifest_spec::manifest::Base;

/// The host's settings (core(5)).
const PATTERN: &str = "/proc/sys/kernel/core_pattern";
const USES_PID: &str = "/proc/sys/kernel/core_uses_pid";

/// Most names of a folder that are looked at.
const NAMES: usize = 10_000;

/// Where cores of this host go.
pub fn destination() -> Destination {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    pattern::read(&read(PATTERN), read(USES_PID).trim() == "1")
}

/// What the core of a program of this plan says, that ended by this signal after it was started at
/// this time (since 1970), and where it is; or in words why there is nothing.
pub fn look(plan: &Plan, signal: i32, started: Duration) -> (Option<Crash>, Option<String>) {
    let destination = destination();
    let (Destination::File { name, .. }, Some(folder)) =
        (&destination, destination.folder(&plan.dir))
    else {
        return (None, destination.advice());
    };
    let Some((found, core)) = newest(plan, &folder, name, started) else {
        let text = format!("no core is in {} (kernel.core_pattern)", folder.display());
        return (None, Some(text));
    };
    let place = folder.join(found).display().to_string();
    match core::read(&core) {
        Ok(mut crash) if crash.signal == signal => {
            core::name(&mut crash.frames, &mut |path| open_module(plan, Path::new(path)));
            (Some(crash), Some(format!("the core is {place}")))
        }
        Ok(_) => (None, Some(format!("the core {place} is of another crash"))),
        Err(error) => (None, Some(format!("the core {place} tells nothing: {error}"))),
    }
}

/// The newest file of a folder that can be the core.
fn newest(plan: &Plan, folder: &Path, name: &Name, started: Duration) -> Option<(String, File)> {
    let granted = |grant: &&Grant| grant.kind != GrantKind::Read;
    let above = file::hold_root().ok()?;
    let folder = open(above.as_fd(), &on_host(plan, folder, &granted)?)?;
    let (uid, _) = plan.identity.ids();
    let entries = std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd())).ok()?;
    let names = entries.flatten().take(NAMES).filter_map(|one| one.file_name().into_string().ok());
    let cores = names.filter(|one| name.fits(one)).filter_map(|one| {
        let file = regular(file::read_below(folder.as_fd(), Path::new(&one)).ok()?)?;
        let metadata = file.metadata().ok()?;
        let written = (metadata.mtime(), metadata.mtime_nsec());
        let since = (started.as_secs() as i64, i64::from(started.subsec_nanos()));
        // A file system may count by whole seconds.
        let is_new = written.0 >= since.0;
        (metadata.uid() == uid && is_new).then_some((written, one, file))
    });
    let (_, name, file) = cores.max_by_key(|(written, ..)| *written)?;
    Some((name, file))
}

/// A file that the program had mapped.
fn open_module(plan: &Plan, path: &Path) -> Option<Box<dyn Bytes>> {
    let all = |_: &&Grant| true;
    let is_systems = plan.base == Base::System && path.starts_with("/usr");
    let place = on_host(plan, path, &all).or_else(|| is_systems.then(|| path.to_owned()))?;
    let above = file::hold_root().ok()?;
    let opened = regular(open(above.as_fd(), &place)?)?;
    Some(Box::new(opened))
}

/// Where a path of the program's is on the host, by the grant that it is in.
fn on_host(plan: &Plan, path: &Path, wanted: &dyn Fn(&&Grant) -> bool) -> Option<PathBuf> {
    if !path.components().all(|one| matches!(one, Component::RootDir | Component::Normal(_))) {
        return None;
    }
    // The innermost decides: what is granted below another grant is a mount of its own.
    let inside = plan.grants.iter().filter(|grant| path.starts_with(&grant.path));
    let grant = inside.max_by_key(|grant| grant.path.components().count()).filter(wanted)?;
    let rest = path.strip_prefix(&grant.path).ok()?;
    // The grant itself was followed and judged when it was mounted.
    let source = std::fs::canonicalize(&grant.source).ok()?;
    Some(if rest.as_os_str().is_empty() { source } else { source.join(rest) })
}

fn open(above: std::os::fd::BorrowedFd<'_>, path: &Path) -> Option<OwnedFd> {
    file::read_below(above, path).ok()
}

/// A descriptor as a file, if it is a regular one.
fn regular(fd: OwnedFd) -> Option<File> {
    let kind = file::status(fd.as_fd()).ok()?.kind;
    (kind == Kind::File).then(|| File::from(fd))
}
