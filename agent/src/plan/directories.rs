//! Where hostctl keeps its files.
//!
//! Invariant: tests and second installations move all of it with three variables, and nothing is
//! ever kept elsewhere. Never creates a directory.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The three roots of everything hostctl keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directories {
    /// Survives a reboot: uids, managed data. `HOSTCTL_STATE_DIR`.
    pub state: PathBuf,
    /// Gone with a reboot. `HOSTCTL_RUN_DIR`.
    pub run: PathBuf,
    /// The operator's: the host policy, drop-ins. `HOSTCTL_CONFIG_DIR`.
    pub config: PathBuf,
}

impl Directories {
    /// From the environment: the variables of hostctl, then for an ordinary user those of the XDG
    /// base directory specification, then the defaults.
    ///
    /// # Errors
    /// The name of the variable that is not an absolute path, or that is missing.
    pub fn from_environment(
        root: bool,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, DirectoryError> {
        let home = || variable("HOME").ok_or(DirectoryError::Missing("HOME"));
        let user = |xdg: &'static str, below_home: &str| match variable(xdg) {
            Some(base) if base.starts_with('/') => Ok(Path::new(&base).join("hostctl")),
            _ => Ok(Path::new(&home()?).join(below_home).join("hostctl")),
        };
        let pick =
            |name: &'static str, default: Result<PathBuf, DirectoryError>| match variable(name)
                .filter(|value| !value.is_empty())
            {
                Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
                Some(path) => Err(DirectoryError::Relative(name, path)),
                None => default,
            };
        let (state, run, config) = if root {
            (Ok("/var/lib/hostctl".into()), Ok("/run/hostctl".into()), Ok("/etc/hostctl".into()))
        } else {
            (
                user("XDG_STATE_HOME", ".local/state"),
                user("XDG_RUNTIME_DIR", ".cache"),
                user("XDG_CONFIG_HOME", ".config"),
            )
        };
        Ok(Directories {
            state: pick("HOSTCTL_STATE_DIR", state)?,
            run: pick("HOSTCTL_RUN_DIR", run)?,
            config: pick("HOSTCTL_CONFIG_DIR", config)?,
        })
    }

    /// The table of uids: one symbolic link for each, `1900000042 -> hello`.
    pub fn uids(&self) -> PathBuf {
        self.state.join("uids")
    }

    /// What is held since the host started.
    pub fn leases(&self) -> PathBuf {
        self.run.join("leases.db")
    }

    /// What outlives a reboot and needs transactions: the number of boots, so far.
    pub fn state_file(&self) -> PathBuf {
        self.state.join("state.db")
    }

    /// The file that a running hostd has locked.
    pub fn hostd_lock(&self) -> PathBuf {
        self.state.join("hostd.lock")
    }

    /// Says that a hostd has kept its state here.
    pub fn hostd_mark(&self) -> PathBuf {
        self.state.join("hostd.mark")
    }

    /// The socket of hostd's API.
    pub fn socket(&self) -> PathBuf {
        self.run.join("hostd.sock")
    }

    /// The managed directories of an app.
    pub fn data(&self, app: &str) -> PathBuf {
        self.state.join("data").join(app)
    }

    /// The logs of all apps.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The log socket of an instance, by the name that people know it by.
    pub fn log_socket(&self, instance: &str) -> PathBuf {
        self.run.join("logs").join(instance).join("socket")
    }

    /// The host policy.
    pub fn policy(&self) -> PathBuf {
        self.config.join("policy.toml")
    }

    /// The operator's drop-in for an app.
    pub fn drop_in(&self, app: &str) -> PathBuf {
        self.config.join("apps").join(format!("{app}.toml"))
    }
}

/// Why the directories are unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryError {
    /// A variable is needed and not set.
    Missing(&'static str),
    /// A variable holds a relative path.
    Relative(&'static str, String),
}

impl std::fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DirectoryError::Missing(name) => {
                write!(f, "${name} is not set, and without it there is no place to keep files")
            }
            DirectoryError::Relative(name, path) => {
                write!(f, "${name} must be an absolute path, found {path:?}")
            }
        }
    }
}

impl std::error::Error for DirectoryError {}
