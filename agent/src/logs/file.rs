//! Files that records are sent to, looked at before the program starts.
//!
//! Invariant: a run whose files can't be written from the beginning on does not begin. No symbolic
//! link is followed on the way: hostctl may be root, and a program or another user could have put it
//! there.

use std::os::fd::AsFd;
use std::path::Path;

use host_sys::Errno;
use host_sys::file::Kind;
use manifest_spec::sink::SinkTarget;

use super::holder::LogError;
use crate::plan::PlannedLogs;

/// Open every file that is named as a sink, made readable by its owner and group if it is new.
pub(super) fn check(logs: &PlannedLogs) -> Result<(), LogError> {
    for sink in &logs.sinks {
        if let SinkTarget::File(path) = &sink.to {
            let path = Path::new(path);
            open(path).map_err(|error| LogError::Sink(path.to_owned(), error))?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> std::io::Result<()> {
    let said = |errno: Errno| match errno {
        Errno::ELOOP => {
            std::io::Error::other("leads through a symbolic link; name the file itself")
        }
        Errno::ENXIO => std::io::Error::other("is a named pipe or a socket"),
        errno => std::io::Error::from_raw_os_error(errno as i32),
    };
    let opened = host_sys::file::append(path, 0o640).map_err(said)?;
    match host_sys::file::status(opened.as_fd()).map_err(said)?.kind {
        Kind::File | Kind::Device => Ok(()),
        _ => Err(std::io::Error::other("is not a file")),
    }
}
