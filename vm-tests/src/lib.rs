//! Boots a Debian guest with systemd and runs promises in it that a test on the build machine cannot
//! hold: scopes and units of systemd, cgroup v2 as the only hierarchy, reboot, other kernels.
//!
//! A scenario is a shell script below `scenarios/`: one promise, exit code 0 if it holds. Invariant:
//! a run ends in bounded time, the guest has no network, and all that stays of it is the cached
//! image. Uses the built binaries only; never links the agent.
//!
//! | module | owns |
//! | --- | --- |
//! | [`image`] | the guest's root file system and kernels, built once a recipe |
//! | [`delivery`] | the second disk: binaries, sources, scenarios |
//! | [`machine`] | a guest at work, to its end |
//! | [`report`] | what the guest says of its scenarios |
//!
//! | folder | holds |
//! | --- | --- |
//! | `guest/` | the recipe: packages, and what is set up beside them |
//! | `scenarios/` | the scenarios, and `main.sh`, which runs them inside |

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // runs the programs that make and boot a guest

pub mod delivery;
pub mod image;
pub mod machine;
pub mod report;

use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Make a disk image of at most `size` bytes with an ext4 file system that holds a folder's content.
pub(crate) fn disk(folder: &Path, image: &Path, size: u64) -> Result<(), String> {
    let made = std::fs::File::create(image).and_then(|file| file.set_len(size));
    made.map_err(|error| format!("{}: {error}", image.display()))?;
    run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).args([folder, image]))
}

/// Run a program to its end; what it said, if that was not a good one.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name} can't be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{name} ended with {}:\n{}", output.status, String::from_utf8_lossy(&said).trim()))
}
