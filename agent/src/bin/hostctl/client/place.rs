//! Where hostd is: on this host, or at the other end of ssh(1).
//!
//! Invariant: what is passed to ssh as a host can't be taken for an option of it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use agent::failure::Error;
use agent::plan::{Directories, facts};

/// The variable that says where, unless `--host` does.
const VARIABLE: &str = "HOSTCTL_HOST";

/// A machine as ssh(1) takes it: `machine`, `user@machine`, `ssh://user@machine:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine(String);

impl Machine {
    /// As it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Machine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.starts_with('-') {
            return Err("expected a machine, as in user@machine".to_owned());
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a machine's name has no blanks".to_owned());
        }
        Ok(Machine(text.to_owned()))
    }
}

/// Where hostd is.
#[derive(Debug, Clone)]
pub enum Place {
    /// On this host, behind this socket.
    Here(PathBuf),
    /// On that machine.
    There(Machine),
}

impl Place {
    /// Where the command line, or else the environment, says.
    pub fn find(host: Option<&Machine>) -> Result<Place, Error> {
        if let Some(machine) = host {
            return Ok(Place::There(machine.clone()));
        }
        if let Some(text) = facts::variable(VARIABLE).filter(|text| !text.is_empty()) {
            let machine = text.parse().map_err(|reason| {
                let message = format!("${VARIABLE} is {text:?}: {reason}");
                Error::Usage(message, format!("unset {VARIABLE}, or set it to user@machine"))
            })?;
            return Ok(Place::There(machine));
        }
        Place::here()
    }

    /// On this host: the caller's own hostd; for a user without one, that of the host, whose policy
    /// says what the user may do.
    pub fn here() -> Result<Place, Error> {
        let own = facts::directories()?.socket();
        let named = facts::variable("HOSTCTL_RUN_DIR").is_some();
        let host = Directories::from_environment(true, |_| None)?.socket();
        let takes_host = !named && !own.exists() && host.exists();
        Ok(Place::Here(if takes_host { host } else { own }))
    }

    /// Nobody answers.
    pub fn unreached(&self, error: &std::io::Error) -> Error {
        use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
        let Place::Here(socket) = self else {
            let message = format!("{self} can't be reached: {error}");
            return Error::Unreachable(message, "install ssh, which leads there".into());
        };
        let socket = socket.display();
        let (message, hint) = match error.kind() {
            NotFound | ConnectionRefused => (
                format!("hostd does not run here: nobody listens at {socket}"),
                "start it with `systemctl start hostd`, or run `hostd` in another terminal",
            ),
            PermissionDenied => (
                format!("{socket} can't be reached: permission denied"),
                "run hostctl as the user that hostd runs as, or as one its policy.toml names",
            ),
            _ => (format!("{socket} can't be reached: {error}"), "is hostd overloaded?"),
        };
        Error::Unreachable(message, hint.into())
    }

    /// The connection ended before the answer did.
    pub fn lost(&self, how: &str) -> Error {
        let hint = match self {
            Place::Here(_) => "see whether hostd still runs: `hostctl ps`; apps go on without it",
            Place::There(_) => "try `ssh` to that machine, and `hostctl ps` on it",
        };
        Error::Unreachable(format!("the connection to {self} is lost: {how}"), hint.into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Here(_) => f.write_str("hostd"),
            Place::There(machine) => write!(f, "hostd on {}", machine.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_never_an_option() {
        assert!("-oProxyCommand=sh".parse::<Machine>().is_err());
        assert!("".parse::<Machine>().is_err());
        assert!("a b".parse::<Machine>().is_err());
        assert_eq!("me@box".parse::<Machine>().unwrap().as_str(), "me@box");
    }
}
