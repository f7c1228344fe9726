//! A disk that a test can fill: a small file system in the place of a directory.
//!
//! Invariant: it is gone with the test. For root.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

/// A small file system in the place of a directory, until dropped.
#[derive(Debug)]
pub struct Small(PathBuf);

impl Small {
    /// Mount one of so many MiB.
    pub fn mount(path: PathBuf, mebibytes: u32) -> Small {
        let options = format!("size={mebibytes}m,mode=755");
        let mount = ["-t", "tmpfs", "-o", &options, "small"];
        let done = Command::new("mount").args(mount).arg(&path).status();
        assert!(done.unwrap().success(), "a tmpfs is mounted at {}", path.display());
        Small(path)
    }

    /// Leave no byte free.
    pub fn fill(&self) {
        let fill = fs::File::create(self.0.join("fill")).unwrap();
        let mut size = 1 << 20;
        let mut end = 0;
        while size > 0 {
            match fill.write_at(&vec![0; size], end) {
                Ok(written) => end += written as u64,
                Err(_) => size /= 2,
            }
        }
    }

    /// Undo that.
    pub fn make_room(&self) {
        fs::remove_file(self.0.join("fill")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: what still has a file open there ends on its own.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
