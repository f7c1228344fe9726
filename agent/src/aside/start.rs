//! The side of the one who wants a program run.
//!
//! Invariant: whatever happens to the value, no process of it stays: dropped, it ends the program by
//! force. Belongs to a runtime of tokio with I/O; nothing here waits but what says so.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use host_sys::process::Child;
use host_sys::signal::number;
use host_sys::socket;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::process::PROGRAM;
use super::{GREETING, News, Order};
use crate::keep::status::Ending;
use crate::plan::Directories;
use crate::plan::facts::variable;

/// This executable, whatever lies at its path by now.
pub const OWN: &str = "/proc/self/exe";

/// How programs are run beside instances on this host.
#[derive(Debug, Clone)]
pub struct Starter {
    /// The executable that becomes `hostctl-aside`: [`OWN`], but for tests.
    pub executable: PathBuf,
    /// Where files are.
    pub directories: Directories,
}

/// A program that was started, or is about to be.
#[derive(Debug)]
pub struct Aside {
    child: Child,
    said: Lines<BufReader<OwnedReadHalf>>,
    /// Closed, it asks for the end.
    line: Option<OwnedWriteHalf>,
    /// What could not be written at once.
    order: Vec<u8>,
}

impl Starter {
    /// Run a program with this standard input. What it writes goes to `output`, from both of its
    /// streams; where there is a place for `answers`, only from standard error, and what it writes
    /// to standard output goes there.
    ///
    /// # Errors
    /// When no process can be started. What goes wrong later is [`Ending::NotStarted`].
    pub fn start(
        &self,
        order: &Order,
        input: OwnedFd,
        output: OwnedFd,
        answers: Option<OwnedFd>,
    ) -> io::Result<Aside> {
        let (ours, theirs) = StdStream::pair()?;
        #[allow(clippy::disallowed_methods)]
        // hostctl itself, which starts the program as it should
        let mut command = Command::new(&self.executable);
        command.arg0(PROGRAM).env_clear().current_dir("/");
        let Directories { state, run, config } = &self.directories;
        for (name, path) in
            [("HOSTCTL_STATE_DIR", state), ("HOSTCTL_RUN_DIR", run), ("HOSTCTL_CONFIG_DIR", config)]
        {
            command.env(name, path);
        }
        for name in ["PATH", "HOME"] {
            command.envs(variable(name).map(|value| (name, value)));
        }
        command.stdin(input).stdout(OwnedFd::from(theirs)).stderr(Stdio::from(output));
        // Held at once: whoever takes the status of any child of this process may take this one's.
        let child = Child::of(command.spawn()?.id() as i32)?;
        // Its ends of the streams are this process's until the command is gone.
        drop(command);
        let answers: Vec<_> = answers.iter().map(AsFd::as_fd).collect();
        socket::send(ours.as_fd(), &[GREETING], &answers, false)?;
        ours.set_nonblocking(true)?;
        let (said, line) = UnixStream::from_std(ours)?.into_split();
        let mut text = serde_json::to_vec(order)?;
        text.push(b'\n');
        let said = BufReader::new(said).lines();
        Ok(Aside { child, said, line: Some(line), order: text })
    }
}

impl Aside {
    /// What is said of it next; the end is said once, and is the last. Nothing is lost if this is
    /// given up while it waits.
    pub async fn news(&mut self) -> News {
        while let (false, Some(line)) = (self.order.is_empty(), &mut self.line) {
            match line.write(&self.order).await {
                Ok(count) if count > 0 => drop(self.order.drain(..count)),
                Ok(_) | Err(_) => self.order.clear(),
            }
        }
        match self.said.next_line().await {
            Ok(Some(line)) => serde_json::from_str(&line).unwrap_or_else(|_| lost()),
            Ok(None) | Err(_) => lost(),
        }
    }

    /// Ask for the end: the program gets its signal, and the time that the service has.
    pub fn stop(&mut self) {
        self.line = None;
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // The sandbox dies with its hostctl. One that has said its last word ends at once.
        let _ = self.child.signal(number::KILL);
        let _ = self.child.wait();
    }
}

fn lost() -> News {
    News::Ended(Ending::NotStarted {
        message: "the process that ran it ended without a word".to_owned(),
        hint: None,
    })
}

/// The program of a command as messages name it.
pub fn named(command: &[String]) -> &str {
    let program = command.first().map(String::as_str).unwrap_or_default();
    Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program)
}
