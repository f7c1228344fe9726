//! The second disk: what is tested, and the tests.
//!
//! Invariant: made anew for each run, and read-only for the guest.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scratch::Scratch;
use crate::tools::{disk, run};

/// The programs under test and those that test them, by the name they have inside.
#[derive(Debug)]
pub struct Programs(Vec<(&'static str, PathBuf)>);

impl Programs {
    /// As the environment names them.
    ///
    /// # Errors
    /// Which variable is missing.
    pub fn from_environment() -> Result<Programs, String> {
        const VARIABLES: [(&str, &str); 5] = [
            ("hostctl", "HOSTCTL_BIN"),
            ("hostd", "HOSTD_BIN"),
            ("e2e", "E2E_BIN"),
            ("enforcement", "ENFORCEMENT_BIN"),
            ("private", "PRIVATE_BIN"),
        ];
        let one = |(name, variable)| match std::env::var_os(variable) {
            Some(path) if Path::new(&path).is_file() => Ok((name, PathBuf::from(path))),
            _ => Err(format!("${variable} names no program: start this by \"make vm-test\"")),
        };
        VARIABLES.into_iter().map(one).collect::<Result<_, _>>().map(Programs)
    }
}

/// The names of all scenarios, in the order of the alphabet.
///
/// # Errors
/// When their folder can't be read.
pub fn scenarios() -> Result<Vec<String>, String> {
    let folder = home().join("scenarios");
    let entries = std::fs::read_dir(&folder);
    let entries = entries.map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            entry.file_name().to_string_lossy().strip_suffix(".sh").map(str::to_owned)
        })
        .filter(|name| name != "main")
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Make the disk for these scenarios.
///
/// # Errors
/// When a file is missing, or what the programs said that make it.
pub fn make(programs: &Programs, wanted: &[String], scratch: &Scratch) -> Result<PathBuf, String> {
    let (folder, image) = (scratch.path().join("delivery"), scratch.path().join("delivery.disk"));
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder.join("bin")).map_err(failed)?;
    for (name, program) in &programs.0 {
        std::fs::copy(program, folder.join("bin").join(name)).map_err(failed)?;
    }
    let scripts = wanted.iter().map(|script| format!("{script}.sh"));
    for name in scripts.chain(["main.sh", "words"].map(str::to_owned)) {
        std::fs::copy(home().join("scenarios").join(&name), folder.join(&name)).map_err(failed)?;
    }
    std::fs::write(folder.join("wanted"), wanted.join("\n") + "\n").map_err(failed)?;
    // The end-to-end tests know where their sources were when they were built.
    let sources = home().parent().unwrap_or(Path::new("/")).to_owned();
    std::fs::write(folder.join("sources-path"), sources.as_os_str().as_encoded_bytes())
        .map_err(failed)?;
    let into = folder.join("sources");
    std::fs::create_dir_all(into.join("agent")).map_err(failed)?;
    for (part, place) in
        [("tests", ""), ("examples", ""), ("packaging", ""), ("agent/tests", "agent")]
    {
        run(Command::new("cp").arg("-R").args([sources.join(part), into.join(place)]))?;
    }
    disk(&folder, &image, 1 << 30)?;
    Ok(image)
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
