//! A folder for what a run needs on disk.
//!
//! Invariant: it goes with its owner, or, if that was killed, when the next one comes.

use std::path::{Path, PathBuf};

/// A folder that is gone with its owner.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Make one below `directory`, and remove those that ended processes left there.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(directory: &Path) -> Result<Scratch, String> {
        const PREFIX: &str = "scratch-";
        let failed = |error| format!("{}: {error}", directory.display());
        std::fs::create_dir_all(directory).map_err(failed)?;
        for entry in std::fs::read_dir(directory).map_err(failed)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix(PREFIX).map(|pid| Path::new("/proc").join(pid));
            if owner.is_some_and(|owner| !owner.exists()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let path = directory.join(format!("{PREFIX}{}", std::process::id()));
        std::fs::create_dir(&path).map_err(failed)?;
        Ok(Scratch(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
