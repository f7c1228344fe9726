//! A directory of its own for each test, and hostctl started in it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Removed with everything in it at the end of the test.
pub struct Scene {
    path: PathBuf,
}

impl Scene {
    /// A directory for the test of this name.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hostctl-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("app")).unwrap();
        Scene { path }
    }

    /// The directory that hostctl is started in.
    pub fn app(&self) -> PathBuf {
        self.path.join("app")
    }

    /// Where hostctl would keep files.
    pub fn kept(&self) -> PathBuf {
        self.path.join("kept")
    }

    /// Write a file below [`Scene::app`], with its directories.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.app().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn make_executable(&self, name: &str) {
        let mode = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.app().join(name), mode).unwrap();
    }

    /// Run hostctl to its end.
    pub fn hostctl(&self, arguments: &[&str]) -> Run {
        self.hostctl_with(&[], arguments)
    }

    /// The same with variables.
    pub fn hostctl_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_hostctl"))
            .args(arguments)
            .current_dir(self.app())
            .env("HOSTCTL_STATE_DIR", self.kept().join("state"))
            .env("HOSTCTL_RUN_DIR", self.kept().join("run"))
            .env("HOSTCTL_CONFIG_DIR", self.kept().join("config"))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        Run::from(output)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// What a command said, and its exit code.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Standard output, after a success.
    #[track_caller]
    pub fn answer(&self) -> &str {
        assert_eq!(self.code, 0, "{self:#?}");
        &self.out
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Every path below a directory, with its mode, sorted.
pub fn listing(directory: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let mut rest = vec![directory.to_owned()];
    while let Some(path) = rest.pop() {
        let status = std::fs::symlink_metadata(&path).unwrap();
        if status.is_dir() {
            rest.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.push((path, status.permissions().mode()));
    }
    found.sort();
    found
}
