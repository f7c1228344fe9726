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
    let (uid, _) = plan.identity.ids();
    newest_in(&on_host(plan, folder, &granted)?, name, uid, started)
}

/// The newest file in a folder of the host that has this name and owner, and was written since then.
fn newest_in(folder: &Path, name: &Name, uid: u32, since: Duration) -> Option<(String, File)> {
    let above = file::hold_root().ok()?;
    let folder = file::read_below(above.as_fd(), folder).ok()?;
    let entries = std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd())).ok()?;
    let names = entries.flatten().take(NAMES).filter_map(|one| one.file_name().into_string().ok());
    let cores = names.filter(|one| name.fits(one)).filter_map(|one| {
        let file = regular(file::read_below(folder.as_fd(), Path::new(&one)).ok()?)?;
        let metadata = file.metadata().ok()?;
        let written = (metadata.mtime(), metadata.mtime_nsec());
        // A file system may count by whole seconds.
        let is_new = u64::try_from(written.0).is_ok_and(|second| second >= since.as_secs());
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
    let opened = regular(file::read_below(above.as_fd(), &place).ok()?)?;
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

/// A descriptor as a file, if it is a regular one.
fn regular(fd: OwnedFd) -> Option<File> {
    let kind = file::status(fd.as_fd()).ok()?.kind;
    (kind == Kind::File).then(|| File::from(fd))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::time::SystemTime;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Scratch {
            let folder = std::env::temp_dir().join(format!("search-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Scratch(std::fs::canonicalize(folder).unwrap())
        }

        /// Write a file whose last change was so many seconds after 1970.
        fn write(&self, name: &str, second: u64) {
            let file = File::create(self.0.join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(second)).unwrap();
        }

        fn newest(&self, uid: u32, since: u64) -> Option<String> {
            let Destination::File { name, .. } = pattern::read("core.%p", false) else { panic!() };
            let since = Duration::from_secs(since);
            newest_in(&self.0, &name, uid, since).map(|(name, _)| name)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_core_is_a_new_file_of_the_apps_own_and_nothing_that_leads_elsewhere() {
        let scratch = Scratch::new();
        let (own, _) = host_sys::creds::effective();
        assert_eq!(scratch.newest(own, 0), None);
        scratch.write("elsewhere", 200);
        symlink(scratch.0.join("elsewhere"), scratch.0.join("core.1")).unwrap();
        std::fs::create_dir(scratch.0.join("core.2")).unwrap();
        let _socket = UnixListener::bind(scratch.0.join("core.3")).unwrap();
        assert_eq!(scratch.newest(own, 0), None);
        scratch.write("core.4", 100);
        scratch.write("core.5", 101);
        scratch.write("core.6", 99);
        assert_eq!(scratch.newest(own, 0).unwrap(), "core.5");
        assert_eq!(scratch.newest(own, 101).unwrap(), "core.5");
        assert_eq!(scratch.newest(own, 102), None, "it is of an earlier run");
        assert_eq!(scratch.newest(own + 1, 0), None, "it is another user's");
        let link = scratch.0.with_extension("link");
        let _ = std::fs::remove_file(&link);
        symlink(&scratch.0, &link).unwrap();
        let Destination::File { name, .. } = pattern::read("core.%p", false) else { panic!() };
        assert!(newest_in(&link, &name, own, Duration::ZERO).is_none(), "the folder is a link");
        std::fs::remove_file(link).unwrap();
    }
}
