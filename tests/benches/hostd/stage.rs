//! The stage: a temporary folder with the programs and the daemons' directories.
//!
//! Owns the folder and what is compiled into it; it is gone at the end. Invariant: what a
//! host has in /run is in memory, and what it keeps is on a disk. Never measures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;

/// What of /etc a system base shows, as in the benchmark of starts.
const SYSTEM_ETC: [&str; 7] = [
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
];

/// Where everything is.
pub(crate) struct Stage {
    /// The folder of all.
    pub(crate) folder: PathBuf,
    /// The part of it that is in memory.
    pub(crate) memory: PathBuf,
    /// The daemon under measurement.
    pub(crate) hostd: PathBuf,
    /// The folder of the app, with `sleeper` and `server`.
    pub(crate) app: PathBuf,
}

impl Stage {
    pub(crate) fn build(hostd: PathBuf) -> Outcome<Stage> {
        if !hostd.exists() {
            return Err(format!("missing: {} is not built", hostd.display()));
        }
        let folder = std::env::temp_dir().join(format!("hostd-bench-{}", std::process::id()));
        let stage = Stage { app: folder.join("app"), memory: folder.join("run"), folder, hostd };
        create(&stage.memory)?;
        let place = stage.memory.to_string_lossy();
        run("mount", &["-t", "tmpfs", "-o", "mode=0755", "hostd-bench", &place], "mount")?;
        create(&stage.app)?;
        for program in ["sleeper", "server"] {
            compile(program, &stage.app.join(program))?;
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

/// bwrap with the namespaces and views of an app, and the sleeper in it.
pub(crate) fn bwrap(app: &Path) -> Vec<String> {
    let mut words = vec!["bwrap".to_owned()];
    let mut add = |more: &[&str]| words.extend(more.iter().map(|&word| word.to_owned()));
    add(&["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]);
    add(&["--unshare-cgroup", "--new-session", "--die-with-parent", "--clearenv"]);
    add(&["--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"]);
    for link in ["bin", "sbin", "lib", "lib64"] {
        add(&["--symlink", &format!("usr/{link}"), &format!("/{link}")]);
    }
    for path in SYSTEM_ETC.iter().filter(|path| Path::new(path).exists()) {
        add(&["--ro-bind", path, path]);
    }
    add(&["--ro-bind", &app.to_string_lossy(), "/app", "--chdir", "/app"]);
    add(&["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
    add(&["--remount-ro", "/", "--", "/app/sleeper"]);
    words
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
fn compile(program: &str, target: &Path) -> Outcome<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/hostd");
    let source = sources.join(format!("{program}.c"));
    let status = Command::new("cc")
        .args(["-O2", "-static", "-Wall", "-Wextra", "-o"])
        .args([target, &source])
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
