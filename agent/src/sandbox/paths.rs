//! Finding a granted path without being led astray.
//!
//! Invariant: every component is looked up once, in a directory held open, and the descriptor that
//! comes out is the object that gets mounted. A symbolic link is followed only when root or the
//! caller owns it, and never where the program itself may have put it (CVE-2024-42472,
//! CVE-2021-30465).

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use host_sys::Errno;
use host_sys::file::{self, Kind};

/// As many links as the kernel itself follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Whose links are followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    /// An owner besides root.
    pub owner: Option<u32>,
    /// Follow none at all.
    pub no_links: bool,
}

/// Why a path was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathError {
    /// The kernel refused this prefix of the path.
    Kernel(PathBuf, Errno),
    /// A link that must not be followed: where, whose.
    Link(PathBuf, Option<u32>),
    /// More links than any sane path has.
    Loop,
}

impl PathError {
    /// The kernel's error, where there is one.
    pub(super) fn errno(&self) -> Option<Errno> {
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
            PathError::Link(path, Some(uid)) => {
                write!(
                    f,
                    "{} is a symbolic link that belongs to uid {uid}, neither root nor you",
                    path.display()
                )
            }
            PathError::Loop => f.write_str("too many symbolic links"),
        }
    }
}

/// Hold the object at the absolute path `path` below `root`.
pub(super) fn find(root: BorrowedFd<'_>, path: &Path, trust: Trust) -> Result<OwnedFd, PathError> {
    // One call is enough for the path without links that nearly every grant is.
    match file::hold_in_root(root, path) {
        Err(Errno::ELOOP) => Walk::new(root, path, trust)?.run(),
        result => result.map_err(|errno| PathError::Kernel(path.to_owned(), errno)),
    }
}

/// The first prefix of `path` that can't be held: what to name in an error.
pub(super) fn blame(root: BorrowedFd<'_>, path: &Path) -> PathBuf {
    let mut prefixes: Vec<_> = path.ancestors().collect();
    prefixes.reverse();
    let missing = prefixes.iter().find(|prefix| file::hold_in_root(root, prefix).is_err());
    missing.map_or_else(|| path.to_owned(), |prefix| prefix.to_path_buf())
}

/// A look-up in progress.
struct Walk<'a> {
    root: BorrowedFd<'a>,
    trust: Trust,
    /// Directories passed, the innermost last; `..` goes back along them, so that a directory moved
    /// meanwhile can't lead elsewhere.
    held: Vec<(OwnedFd, OsString)>,
    /// Components still to do.
    left: VecDeque<OsString>,
    links: usize,
}

impl<'a> Walk<'a> {
    fn new(root: BorrowedFd<'a>, path: &Path, trust: Trust) -> Result<Self, PathError> {
        let mut walk = Walk { root, trust, held: Vec::new(), left: VecDeque::new(), links: 0 };
        walk.queue(path);
        Ok(walk)
    }

    /// Put a path's components in front of what is left; an absolute one starts at the root again.
    fn queue(&mut self, path: &Path) {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => self.left.push_front(name.to_owned()),
                Component::ParentDir => self.left.push_front("..".into()),
                Component::RootDir => self.held.clear(),
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    fn run(mut self) -> Result<OwnedFd, PathError> {
        while let Some(name) = self.left.pop_front() {
            if name == ".." {
                self.held.pop();
                continue;
            }
            let object = self.hold(&name)?;
            let status = file::status(object.as_fd()).map_err(|errno| self.failed(&name, errno))?;
            if status.kind != Kind::Link {
                self.held.push((object, name));
                continue;
            }
            self.links += 1;
            if self.trust.no_links {
                return Err(PathError::Link(self.so_far(&name), None));
            }
            if status.uid != 0 && Some(status.uid) != self.trust.owner {
                return Err(PathError::Link(self.so_far(&name), Some(status.uid)));
            }
            if self.links > MAX_LINKS {
                return Err(PathError::Loop);
            }
            let target =
                file::link_target(object.as_fd()).map_err(|errno| self.failed(&name, errno))?;
            self.queue(&target);
        }
        match self.held.pop() {
            Some((object, _)) => Ok(object),
            None => {
                file::duplicate(self.root).map_err(|errno| PathError::Kernel("/".into(), errno))
            }
        }
    }

    fn hold(&self, name: &OsStr) -> Result<OwnedFd, PathError> {
        let inside = self.held.last().map_or(self.root, |(fd, _)| fd.as_fd());
        file::hold(inside, Path::new(name)).map_err(|errno| self.failed(name, errno))
    }

    fn failed(&self, name: &OsStr, errno: Errno) -> PathError {
        PathError::Kernel(self.so_far(name), errno)
    }

    fn so_far(&self, name: &OsStr) -> PathBuf {
        let mut path = PathBuf::from("/");
        path.extend(self.held.iter().map(|(_, name)| name));
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
        let trust = Trust { owner: Some(owner()), no_links: false };
        for path in ["/current/app", "/absolute"] {
            let found = find(root.as_fd(), Path::new(path), trust).unwrap();
            assert_eq!(file::status(found.as_fd()).unwrap().kind, Kind::File, "{path}");
        }
        let climbed = find(root.as_fd(), Path::new("/climb/passwd"), trust).unwrap_err();
        assert_eq!(climbed, PathError::Kernel("/etc".into(), Errno::ENOENT));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn links_are_refused_where_the_program_could_have_put_them() {
        let (dir, root) = scene("refused");
        symlink("releases/5", dir.join("current")).unwrap();
        let trust = Trust { owner: Some(owner()), no_links: true };
        let error = find(root.as_fd(), Path::new("/current/app"), trust).unwrap_err();
        assert_eq!(error, PathError::Link("/current".into(), None));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_cycle_of_links_ends() {
        let (dir, root) = scene("cycle");
        symlink("b", dir.join("a")).unwrap();
        symlink("a", dir.join("b")).unwrap();
        let trust = Trust { owner: Some(owner()), no_links: false };
        assert_eq!(find(root.as_fd(), Path::new("/a"), trust).unwrap_err(), PathError::Loop);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
