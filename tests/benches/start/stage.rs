//! The stage: a temporary folder with everything the contenders need, built once, removed at the end.
//!
//! Owns the folder and what is compiled into it. Invariant: an ordinary user can read all of it and
//! write only his own home. Never measures.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::bundle;
use crate::case::{Base, Case, Identity, Program};

/// The uid and gid of the ordinary user when the benchmark itself runs as root.
const ORDINARY: u32 = 1000;

/// Names of the root directory that lead into /usr on a merged-/usr system.
pub(crate) const USR_LINKS: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// What of /etc bwrap and crun show with base system: fewer entries than hostctl and the floor.
const SYSTEM_ETC: [&str; 7] = [
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
];

/// The paths of everything that was put on the stage.
pub(crate) struct Stage {
    folder: PathBuf,
    /// Whether contenders can be started as root.
    pub(crate) privileged: bool,
    /// The compiled timer.c.
    pub(crate) timer: PathBuf,
    /// The compiled floor.c.
    pub(crate) floor: PathBuf,
    /// A copy of hostctl that every user can execute, or why there is none.
    pub(crate) hostctl: Outcome<PathBuf>,
    /// An empty folder to mount a root on.
    pub(crate) mount_point: PathBuf,
}

impl Stage {
    pub(crate) fn build(hostctl: &Path) -> Outcome<Stage> {
        let folder = std::env::temp_dir().join(format!("hostctl-bench-{}", std::process::id()));
        create(&folder)?;
        let privileged = owner(&folder)? == 0;
        let stage = Stage {
            privileged,
            timer: folder.join("timer"),
            floor: folder.join("floor"),
            hostctl: copy_hostctl(hostctl, &folder.join("hostctl")),
            mount_point: folder.join("root"),
            folder,
        };
        create(&stage.mount_point)?;
        compile("timer.c", &stage.timer)?;
        compile("floor.c", &stage.floor)?;
        for identity in [Identity::Root, Identity::Ordinary] {
            let home = stage.home(identity);
            create(&home)?;
            stage.hand_over(identity, &home)?;
        }
        for (base, program) in [
            (Base::System, Program::True),
            (Base::None, Program::True),
            (Base::System, Program::Cat),
        ] {
            stage.write_app(base, program)?;
        }
        Ok(stage)
    }

    /// The folder with the manifest and the program of a case.
    pub(crate) fn app(&self, base: Base, program: Program) -> PathBuf {
        self.folder.join(format!("app-{}-{}", base.name(), program.name()))
    }

    /// The only folder the identity can write to.
    pub(crate) fn home(&self, identity: Identity) -> PathBuf {
        self.folder.join(format!("home-{}", identity.name()))
    }

    /// Writes the OCI bundle of a case and returns its folder.
    pub(crate) fn bundle(&self, case: Case) -> Outcome<PathBuf> {
        let name = format!("bundle-{}-{}", case.base.name(), case.program.name());
        let folder = self.home(case.identity).join(name);
        let rootfs = folder.join("rootfs");
        for inner in ["app", "dev", "etc", "proc", "tmp", "usr"] {
            create(&rootfs.join(inner))?;
        }
        if case.base == Base::System {
            for link in USR_LINKS {
                let path = rootfs.join(link);
                if !path.is_symlink() {
                    symlink(format!("usr/{link}"), &path).map_err(naming("link", &path))?;
                }
            }
            for path in system_etc() {
                let target = rootfs.join(&path[1..]);
                if Path::new(&path).is_dir() { create(&target)? } else { write(&target, "")? }
            }
        }
        let user = self.uid(case.identity);
        let config = bundle::config(case, user, &self.app(case.base, case.program));
        write(&folder.join("config.json"), &config.to_string())?;
        self.hand_over(case.identity, &folder)?;
        self.hand_over(case.identity, &rootfs)?;
        Ok(folder)
    }

    /// A command that runs as the identity, in an environment that leads into its home only.
    pub(crate) fn as_identity(&self, identity: Identity, program: &str) -> Command {
        let home = self.home(identity);
        let mut command = Command::new(program);
        command.env_clear().current_dir(&home).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, &home);
        }
        for (name, inner) in [
            ("HOSTCTL_STATE_DIR", "hostctl-state"),
            ("HOSTCTL_RUN_DIR", "hostctl-run"),
            ("HOSTCTL_CONFIG_DIR", "hostctl-config"),
        ] {
            command.env(name, home.join(inner));
        }
        if self.privileged && identity == Identity::Ordinary {
            command.uid(ORDINARY).gid(ORDINARY);
        }
        command
    }

    fn uid(&self, identity: Identity) -> u32 {
        match identity {
            Identity::Root => 0,
            Identity::Ordinary if self.privileged => ORDINARY,
            Identity::Ordinary => owner(&self.folder).unwrap_or(ORDINARY),
        }
    }

    fn hand_over(&self, identity: Identity, path: &Path) -> Outcome<()> {
        if !self.privileged || identity == Identity::Root {
            return Ok(());
        }
        chown(path, Some(ORDINARY), Some(ORDINARY)).map_err(naming("hand over", path))
    }

    fn write_app(&self, base: Base, program: Program) -> Outcome<()> {
        let folder = self.app(base, program);
        create(&folder)?;
        let run = match (base, program) {
            (Base::None, _) => {
                compile("true.c", &folder.join("true"))?;
                "./true"
            }
            (Base::System, Program::True) => "/usr/bin/true",
            (Base::System, Program::Cat) => "/usr/bin/cat",
        };
        let name = format!("bench-{}-{}", base.name(), program.name());
        let base = base.name();
        let text =
            format!("name = \"{name}\"\nrun = \"{run}\"\naccess = {{ base = \"{base}\" }}\n");
        write(&folder.join("app.toml"), &text)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nothing can be done about a leftover in the temporary folder, and it harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The entries of [`SYSTEM_ETC`] that this host has.
pub(crate) fn system_etc() -> Vec<String> {
    SYSTEM_ETC.iter().filter(|path| Path::new(path).exists()).map(|&path| path.to_owned()).collect()
}

fn copy_hostctl(binary: &Path, target: &Path) -> Outcome<PathBuf> {
    if !binary.exists() {
        return Err(format!("missing: {} is not built", binary.display()));
    }
    fs::copy(binary, target).map_err(naming("copy", binary))?;
    fs::set_permissions(target, fs::Permissions::from_mode(0o755))
        .map_err(naming("open up", target))?;
    Ok(target.to_owned())
}

/// Static, because that is how hostctl is built: the comparison is about the sandbox.
fn compile(source: &str, target: &Path) -> Outcome<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/start").join(source);
    let status = Command::new("cc")
        .args(["-O2", "-static", "-Wall", "-Wextra", "-o"])
        .args([target, &source])
        .status()
        .map_err(|error| format!("start cc for {}: {error}", source.display()))?;
    if status.success() { Ok(()) } else { Err(format!("compile {}: {status}", source.display())) }
}

fn create(folder: &Path) -> Outcome<()> {
    fs::create_dir_all(folder).map_err(naming("create", folder))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .map_err(naming("open up", folder))
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text).map_err(naming("write", path))
}

fn owner(path: &Path) -> Outcome<u32> {
    Ok(fs::metadata(path).map_err(naming("look at", path))?.uid())
}

fn naming(action: &str, path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{action} {}: {error}", path.display())
}
