//! Older copies of a file: `app.log.1` is the youngest.
//!
//! Invariant: done by whoever has the file's lock. Whatever is interrupted when, no file but the
//! oldest is lost, and the next rotation goes on from there: a hole among the copies is filled
//! before anything is dropped.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use host_sys::{Errno, Result, file};

/// Give the file the name of its youngest copy, and each copy that of the next older one. No file
/// has the name then.
///
/// # Errors
/// What renameat(2) or unlinkat(2) says.
pub(super) fn rotate(directory: BorrowedFd<'_>, name: &Path, copies: u32) -> Result<()> {
    if copies == 0 {
        return file::remove_in(directory, name);
    }
    // Only as far as there is one after the other: what is behind a hole has been moved already.
    let mut last = 0;
    while last < copies && file::status_in(directory, &copy(name, last + 1)).is_ok() {
        last += 1;
    }
    for number in (1..=last).rev() {
        let (from, to) = (copy(name, number), copy(name, number + 1));
        let moved = match number == copies {
            true => file::remove_in(directory, &from),
            false => file::rename_in(directory, &from, &to),
        };
        match moved {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    file::rename_in(directory, name, &copy(name, 1))
}

/// The name of a copy; 0 is the file itself.
pub(super) fn copy(name: &Path, number: u32) -> PathBuf {
    let mut copy = name.as_os_str().to_owned();
    if number > 0 {
        copy.push(format!(".{number}"));
    }
    copy.into()
}
