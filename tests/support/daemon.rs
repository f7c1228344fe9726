//! A hostd of the scene's own.
//!
//! Invariant: when it is dropped, nothing of what it ran is left; processes are ended by number.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Scene, eventually, hostctl, kill};

/// hostd at work on a scene's directories.
#[derive(Debug)]
pub struct Hostd<'a> {
    scene: &'a Scene,
    child: Option<Child>,
}

impl<'a> Hostd<'a> {
    /// Start it, and wait until it answers.
    pub fn start(scene: &'a Scene) -> Hostd<'a> {
        Hostd::started(scene, scene.command(&program()))
    }

    /// The same in a network namespace of its own, where every port is free.
    pub fn start_alone(scene: &'a Scene) -> Hostd<'a> {
        let mut command = scene.command("unshare".as_ref());
        let script = "busybox ip link set lo up && exec \"$0\"";
        command.args(["--net", "sh", "-c", script]).arg(program());
        Hostd::started(scene, command)
    }

    fn started(scene: &'a Scene, mut command: Command) -> Hostd<'a> {
        let log = std::fs::File::create(scene.outside().join("hostd.log")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut hostd = Hostd { scene, child: Some(child) };
        eventually("hostd answers", || {
            let ended = hostd.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "hostd has ended:\n{}", hostd.log());
            scene.run(["ps"]).code == 0
        });
        hostd
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scene.outside().join("hostd.log")).unwrap_or_default()
    }

    /// End it and leave alone what it runs.
    pub fn end(mut self) {
        if let Some(mut child) = self.child.take() {
            kill("TERM", child.id() as i32);
            let _ = child.wait();
        }
        // Dropped without halting: the next one takes over.
        std::mem::forget(self);
    }
}

impl Drop for Hostd<'_> {
    fn drop(&mut self) {
        let _ = self.scene.run(["halt", "--timeout", "10s"]);
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Those that would not stop: a sandbox ends with its keeper.
        for pid in keepers(&self.scene.outside().join("run/instances")) {
            let _ = Command::new("sh").args(["-c", "kill -9 $0", &pid.to_string()]).status();
        }
    }
}

/// The hostd that was built beside hostctl.
fn program() -> PathBuf {
    let path = hostctl().with_file_name("hostd");
    assert!(path.exists(), "{} is missing: build it first, `cargo build -p agent`", path.display());
    path
}

/// Keepers that are still there, by what they say of themselves.
fn keepers(folder: &Path) -> Vec<i64> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let status = |path: PathBuf| -> Option<i64> {
        let text = std::fs::read_to_string(path.join("status.json")).ok()?;
        let status: Value = serde_json::from_str(&text).ok()?;
        let pid = status["keeper"].as_i64().filter(|_| status["phase"]["ended"].is_null())?;
        // Its number may be another process's by now.
        let name = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&name).contains("hostctl-keeper").then_some(pid)
    };
    entries.filter_map(|entry| status(entry.path())).collect()
}
