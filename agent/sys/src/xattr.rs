//! Extended attributes of files (xattr(7)). Reads only.

use std::ffi::CStr;
use std::path::Path;

use nix::NixPath;

use crate::raw::check;
use crate::{Errno, Result};

/// Longest value [`read`] takes, in bytes: it is for marks, not for contents.
const LONGEST: usize = 256;

/// The value of the attribute `name` of the object at `path`, links followed.
///
/// # Errors
/// `ENODATA` when it has no such attribute; `ENOTSUP` where the file system has none of this kind;
/// `ERANGE` for a value of more than 256 bytes; else what getxattr(2) says.
pub fn read(path: &Path, name: &CStr) -> Result<Vec<u8>> {
    let mut value = vec![0_u8; LONGEST];
    let length = path.with_nix_path(|path| {
        // SAFETY: both strings end with a null byte and outlive the call, and the kernel writes at
        // most `LONGEST` bytes, which is what `value` has.
        let length = unsafe {
            libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), LONGEST)
        };
        check(length as libc::c_long)
    })??;
    value.truncate(usize::try_from(length).map_err(|_| Errno::ERANGE)?);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(read(Path::new("/proc/self"), c"user.hostctl.none").is_err());
        assert_eq!(read(Path::new("/nowhere/at/all"), c"user.x"), Err(Errno::ENOENT));
    }
}
