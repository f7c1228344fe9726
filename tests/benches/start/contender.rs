//! The contenders: how each of them is told to build the same sandbox and run the same program.
//!
//! Owns the command lines. Invariant: all of them ask for mount, pid, ipc, uts, cgroup and network
//! namespaces, a root of their own, a read-only app folder, /proc, a small /dev and a private /tmp;
//! where one cannot do a thing the others do, docs/benchmarks.md says so. Never starts a case.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::case::{Base, Case};
use crate::stage::{self, Stage};

/// A way to start the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    /// No sandbox.
    Plain,
    /// The straight line of system calls in floor.c.
    Floor,
    /// bubblewrap.
    Bwrap,
    /// An OCI runtime in C.
    Crun,
    /// `hostctl run`.
    Hostctl,
}

impl Contender {
    pub(crate) const ALL: [Contender; 5] =
        [Self::Plain, Self::Floor, Self::Bwrap, Self::Crun, Self::Hostctl];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain exec",
            Self::Floor => "C floor",
            Self::Bwrap => "bwrap",
            Self::Crun => "crun run",
            Self::Hostctl => "hostctl run",
        }
    }

    /// The words that start the case, or why this contender cannot take part.
    pub(crate) fn command(self, stage: &Stage, case: Case) -> Outcome<Vec<String>> {
        let app = stage.app(case.base, case.program);
        match self {
            Self::Plain => Ok(words(&[&case.outside(&app).to_string_lossy()])),
            Self::Floor => Ok(words(&[
                &stage.floor.to_string_lossy(),
                case.base.name(),
                &stage.mount_point.to_string_lossy(),
                &app.to_string_lossy(),
                case.inside(),
            ])),
            Self::Bwrap => {
                let bwrap = installed("bwrap", "bubblewrap")?;
                Ok(bwrap_command(&bwrap, &app, case))
            }
            Self::Crun => {
                let crun = installed("crun", "crun")?;
                let state = stage.home(case.identity).join("crun");
                let bundle = stage.bundle(case)?;
                Ok(words(&[
                    &crun.to_string_lossy(),
                    "--root",
                    &state.to_string_lossy(),
                    "--cgroup-manager=disabled",
                    "run",
                    "--bundle",
                    &bundle.to_string_lossy(),
                    "bench",
                ]))
            }
            Self::Hostctl => {
                let hostctl = stage.hostctl.as_ref().map_err(Clone::clone)?;
                let manifest = app.join("app.toml");
                Ok(words(&[&hostctl.to_string_lossy(), "run", &manifest.to_string_lossy()]))
            }
        }
    }
}

fn bwrap_command(bwrap: &Path, app: &Path, case: Case) -> Vec<String> {
    let mut command = words(&[
        &bwrap.to_string_lossy(),
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup",
        "--new-session",
        "--die-with-parent",
        "--clearenv",
        "--cap-drop",
        "ALL",
    ]);
    if case.base == Base::System {
        command.extend(words(&["--ro-bind", "/usr", "/usr"]));
        for link in stage::USR_LINKS {
            command.extend(words(&["--symlink", &format!("usr/{link}"), &format!("/{link}")]));
        }
        for path in stage::system_etc() {
            command.extend(words(&["--ro-bind", &path, &path]));
        }
    }
    command.extend(words(&["--ro-bind", &app.to_string_lossy(), "/app", "--chdir", "/app"]));
    command.extend(words(&["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]));
    command.extend(words(&["--remount-ro", "/", "--", case.inside()]));
    command
}

/// What the installed contenders that are not ours call themselves.
pub(crate) fn versions() -> Vec<String> {
    let ask = |program: &str| {
        let path = installed(program, program).ok()?;
        let output = Command::new(path).arg("--version").output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
    };
    ["bwrap", "crun"].into_iter().filter_map(ask).collect()
}

fn installed(program: &str, package: &str) -> Outcome<PathBuf> {
    ["/usr/local/bin", "/usr/bin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
        .ok_or_else(|| format!("missing: {program} is not installed (package {package})"))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
