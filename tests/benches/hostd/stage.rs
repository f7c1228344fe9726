//! The stage: a temporary folder with the programs and the daemons' directories.
//!
//! Owns the folder and what is compiled into it; it is gone at the end. Invariant: what a
//! host has in /run is in memory, and what it keeps is on a disk. Never measures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;

/// Where everything is.
pub(crate) struct Stage {
    /// The folder of all.
    pub(crate) folder: PathBuf,
    /// The part of it that is in memory.
    pub(crate) memory: PathBuf,
    /// The daemon under measurement.
    pub(crate) hostd: PathBuf,
    /// The folder of the app, with its programs.
    pub(crate) app: PathBuf,
}

impl Stage {
    /// One with these programs, each named by its source without `.c`, from this folder's parent.
    pub(crate) fn build(hostd: PathBuf, programs: &[&str]) -> Outcome<Stage> {
        if !hostd.exists() {
            return Err(format!("missing: {} is not built", hostd.display()));
        }
        let folder = std::env::temp_dir().join(format!("hostd-bench-{}", std::process::id()));
        let stage = Stage { app: folder.join("app"), memory: folder.join("run"), folder, hostd };
        create(&stage.memory)?;
        let place = stage.memory.to_string_lossy();
        run("mount", &["-t", "tmpfs", "-o", "mode=0755", "hostd-bench", &place], "mount")?;
        create(&stage.app)?;
        for program in programs {
            compile(program, &stage.app)?;
        }
        Ok(stage)
    }

    /// A folder below, made.
    pub(crate) fn folder(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.folder.join(name);
        create(&folder)?;
        Ok(folder)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = run("umount", &["--lazy", &self.memory.to_string_lossy()], "mount");
        // Nothing can be done about a leftover in the temporary folder, and it harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What was measured on, and how busy that was.
pub(crate) fn heading() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("Kernel {}, {cores} × {model}; load of others {load}.\n", kernel.trim())
}

/// Static, as hostd is: the comparison is about who starts it.
fn compile(program: &str, folder: &Path) -> Outcome<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    let source = sources.join(format!("{program}.c"));
    let target = folder.join(source.file_stem().unwrap_or_default());
    let status = Command::new("cc")
        .args(["-O2", "-static", "-Wall", "-Wextra", "-o"])
        .args([&target, &source])
        .status()
        .map_err(|error| format!("start cc for {}: {error}", source.display()))?;
    if status.success() { Ok(()) } else { Err(format!("compile {}: {status}", source.display())) }
}

/// Run a command to its end.
pub(crate) fn run(program: &str, words: &[&str], package: &str) -> Outcome<()> {
    let status = Command::new(program).args(words).status();
    match status.map(|status| status.success()) {
        Ok(true) => Ok(()),
        _ => Err(format!("run {program} {} (package {package})", words.join(" "))),
    }
}

pub(crate) fn create(folder: &Path) -> Outcome<()> {
    fs::create_dir_all(folder).map_err(|error| format!("create {}: {error}", folder.display()))
}

pub(crate) fn write(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text).map_err(|error| format!("write {}: {error}", path.display()))
}
