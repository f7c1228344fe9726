//! Starts of hostctl that are not plain: with a socket passed to it, and on a host that knows other
//! names.
//!
//! Invariant: what is passed reaches that hostctl and no other child of the test program.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use super::{Running, Scene, hostctl};

/// Moves standard input to descriptor 3, tells hostctl that it was passed for it, and becomes it.
const PASS: &str = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"";

/// Puts a file in the place of the host's table of names, for hostctl alone.
const KNOW: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

impl Scene {
    /// hostctl with these arguments, and this socket passed to it (sd_listen_fds(3)).
    pub fn hostctl_with(&self, socket: OwnedFd, arguments: &[&str]) -> Command {
        let mut command = self.command("sh".as_ref());
        command.args(["-c", PASS]).arg(hostctl()).args(arguments).stdin(Stdio::from(socket));
        command
    }

    /// Start that and go on.
    pub fn start_with(&self, socket: OwnedFd, arguments: &[&str]) -> Running {
        let mut command = self.hostctl_with(socket, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { child: Some(command.spawn().unwrap()) }
    }

    /// hostctl with these arguments on a host whose /etc/hosts has these lines.
    pub fn hostctl_knowing(&self, names: &str, arguments: &[&str]) -> Command {
        let file = self.outside().join("names");
        std::fs::write(&file, names).unwrap();
        let user = format!("setpriv --reuid={0} --regid={0} --clear-groups", self.who.uid());
        let mut command = self.command("unshare".as_ref());
        // A mount takes root; the user's hostctl is then started as the user.
        std::os::unix::process::CommandExt::uid(&mut command, 0);
        std::os::unix::process::CommandExt::gid(&mut command, 0);
        command.args(["--mount", "sh", "-c", KNOW]).arg(file).args(user.split(' '));
        command.arg(hostctl()).args(arguments);
        command
    }
}
