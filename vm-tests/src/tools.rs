//! The host's programs that make disks. What they say is shown only if they fail.

use std::path::Path;
use std::process::Command;

/// Make a disk image of at most `size` bytes with an ext4 file system that holds a folder's
/// content.
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
