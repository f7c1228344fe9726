//! Finding a granted path without being led astray.
//!
//! Runs in the caller, before any namespace exists: only there does a link show whose it is.
//! Invariant: every component is looked up once, in a directory held open. A symbolic link is
//! followed only when root or the caller owns it, and never below a place the program may write,
//! by whatever name that place was reached (CVE-2024-42472, CVE-2021-30465). The sandbox opens the
//! path that comes out, which has no links, and compares the object.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use host_sys::Errno;
use host_sys::file::{self, Kind, Status};

/// As many links as the kernel itself follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A file's identity: device and inode.
pub type Identity = (u64, u64);

/// Whose links are followed, and where none is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust<'a> {
    /// An owner besides root.
    pub owner: Option<u32>,
    /// Directories below which no link is followed.
    pub writable: &'a [Identity],
}

/// An object that was found.
#[derive(Debug)]
pub struct Found {
    /// Holds the object, so that its identity can't be given to another.
    pub held: OwnedFd,
    /// Where it is, without any link.
    pub path: PathBuf,
    /// What it is.
    pub status: Status,
    /// The directories above it, the root left out.
    pub above: Vec<Identity>,
}

/// Why a path was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathError {
    /// The kernel refused this prefix of the path.
    Kernel(PathBuf, Errno),
    /// A link that must not be followed: where, whose.
    Link(PathBuf, Option<u32>),
    /// More links than any sane path has.
    Loop,
}

impl PathError {
    /// The kernel's error, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            PathError::Kernel(_, errno) => Some(*errno),
            PathError::Loop => Some(Errno::ELOOP),
            PathError::Link(..) => None,
        }
    }
}

impl std::fmt::Display for PathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PathError::Kernel(path, Errno::ENOENT) => {
                write!(f, "{} does not exist", path.display())
            }
            PathError::Kernel(path, Errno::ENOTDIR) => {
                write!(f, "{} is not a directory", path.display())
            }
            PathError::Kernel(path, errno) => write!(f, "{}: {}", path.display(), errno.desc()),
            PathError::Link(path, None) => write!(
                f,
                "{} is a symbolic link inside a directory the program may write",
                path.display()
            ),
            PathError::Link(path, Some(uid)) => write!(
                f,
                "{} is a symbolic link that belongs to uid {uid}, neither root nor you",
                path.display()
            ),
            PathError::Loop => f.write_str("too many symbolic links"),
        }
    }
}

/// Find the object at the absolute path `path` below `root`, taken as `/`.
///
/// # Errors
/// The first prefix that can't be passed.
pub fn find(root: BorrowedFd<'_>, path: &Path, trust: Trust<'_>) -> Result<Found, PathError> {
    let mut walk = Walk { root, trust, passed: Vec::new(), left: VecDeque::new(), links: 0 };
    walk.queue(path);
    walk.run()
}

/// A component that was passed.
struct Passed {
    held: OwnedFd,
    name: OsString,
    status: Status,
}

/// A look-up in progress.
struct Walk<'a> {
    root: BorrowedFd<'a>,
    trust: Trust<'a>,
    /// The innermost last; `..` goes back along them, so that a directory moved meanwhile can't
    /// lead elsewhere.
    passed: Vec<Passed>,
    /// Components still to do.
    left: VecDeque<OsString>,
    links: usize,
}

impl Walk<'_> {
    /// Put a path's components in front of what is left; an absolute one starts at the root again.
    fn queue(&mut self, path: &Path) {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => self.left.push_front(name.to_owned()),
                Component::ParentDir => self.left.push_front("..".into()),
                Component::RootDir => self.passed.clear(),
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    fn run(mut self) -> Result<Found, PathError> {
        while let Some(name) = self.left.pop_front() {
            if name == ".." {
                self.passed.pop();
                continue;
            }
            let held = self.hold(&name)?;
            let status = file::status(held.as_fd()).map_err(|errno| self.failed(&name, errno))?;
            if status.kind != Kind::Link {
                self.passed.push(Passed { held, name, status });
                continue;
            }
            self.judge(&name, status)?;
            let target =
                file::link_target(held.as_fd()).map_err(|errno| self.failed(&name, errno))?;
            self.queue(&target);
        }
        self.found()
    }

    /// Whether this link may be followed.
    fn judge(&mut self, name: &OsStr, status: Status) -> Result<(), PathError> {
        let writable = |passed: &Passed| self.trust.writable.contains(&passed.status.identity);
        if self.passed.iter().any(writable) {
            return Err(PathError::Link(self.so_far(name), None));
        }
        if status.uid != 0 && Some(status.uid) != self.trust.owner {
            return Err(PathError::Link(self.so_far(name), Some(status.uid)));
        }
        self.links += 1;
        if self.links > MAX_LINKS { Err(PathError::Loop) } else { Ok(()) }
    }

    fn found(mut self) -> Result<Found, PathError> {
        let root = |errno| PathError::Kernel("/".into(), errno);
        let Some(last) = self.passed.pop() else {
            let held = file::duplicate(self.root).map_err(root)?;
            let status = file::status(held.as_fd()).map_err(root)?;
            return Ok(Found { held, path: "/".into(), status, above: Vec::new() });
        };
        Ok(Found {
            path: self.so_far(&last.name),
            held: last.held,
            status: last.status,
            above: self.passed.iter().map(|passed| passed.status.identity).collect(),
        })
    }

    fn hold(&self, name: &OsStr) -> Result<OwnedFd, PathError> {
        let inside = self.passed.last().map_or(self.root, |passed| passed.held.as_fd());
        file::hold(inside, Path::new(name)).map_err(|errno| self.failed(name, errno))
    }

    fn failed(&self, name: &OsStr, errno: Errno) -> PathError {
        PathError::Kernel(self.so_far(name), errno)
    }

    fn so_far(&self, name: &OsStr) -> PathBuf {
        let mut path = PathBuf::from("/");
        path.extend(self.passed.iter().map(|passed| &passed.name));
        path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn scene(name: &str) -> (PathBuf, OwnedFd) {
        let dir = std::env::temp_dir().join(format!("paths-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("releases/5")).unwrap();
        std::fs::write(dir.join("releases/5/app"), "x").unwrap();
        let root = std::fs::File::open(&dir).unwrap().into();
        (dir, root)
    }

    fn owner() -> u32 {
        host_sys::creds::effective().0
    }

    #[test]
    fn links_of_a_trusted_owner_are_followed_inside_the_root() {
        let (dir, root) = scene("trusted");
        symlink("releases/5", dir.join("current")).unwrap();
        symlink("/releases/../releases/5/./app", dir.join("absolute")).unwrap();
        symlink("../../../../etc", dir.join("climb")).unwrap();
        let trust = Trust { owner: Some(owner()), writable: &[] };
        for path in ["/current/app", "/absolute"] {
            let found = find(root.as_fd(), Path::new(path), trust).unwrap();
            assert_eq!(found.status.kind, Kind::File, "{path}");
            assert_eq!(found.path, Path::new("/releases/5/app"), "{path}");
        }
        let climbed = find(root.as_fd(), Path::new("/climb/passwd"), trust).unwrap_err();
        assert_eq!(climbed, PathError::Kernel("/etc".into(), Errno::ENOENT));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn links_are_refused_where_the_program_could_have_put_them() {
        let (dir, root) = scene("refused");
        symlink("5", dir.join("releases/current")).unwrap();
        symlink("releases", dir.join("alias")).unwrap();
        let releases = find(root.as_fd(), Path::new("/releases"), Trust::default()).unwrap();
        let writable = [releases.status.identity];
        let trust = Trust { owner: Some(owner()), writable: &writable };
        for path in ["/releases/current/app", "/alias/current/app"] {
            let error = find(root.as_fd(), Path::new(path), trust).unwrap_err();
            assert_eq!(error, PathError::Link("/releases/current".into(), None), "{path}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_cycle_of_links_ends() {
        let (dir, root) = scene("cycle");
        symlink("b", dir.join("a")).unwrap();
        symlink("a", dir.join("b")).unwrap();
        let trust = Trust { owner: Some(owner()), writable: &[] };
        assert_eq!(find(root.as_fd(), Path::new("/a"), trust).unwrap_err(), PathError::Loop);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
