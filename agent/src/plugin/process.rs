//! A plugin's process: questions in, lines out.
//!
//! Owns its three streams. Invariant: whatever it does with them, what is kept of it is bounded: one
//! line of output, and questions it has not read. Dropped, it is ended by force, with all that it
//! started. Belongs to a runtime of tokio with I/O.

use std::io;
use std::os::fd::OwnedFd;

use host_sys::file;
use manifest_spec::limits::PLUGIN_LINE_BYTES;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use crate::aside::start::{Aside, Starter};
use crate::aside::{News, OfPolicy, Order};
use crate::keep::status::Ending;

/// Read at once.
const PIECE: usize = 16 * 1024;

/// What happened to a plugin.
#[derive(Debug)]
pub enum Happening {
    /// Its program runs.
    Started,
    /// It has written a line; without the newline.
    Line(Vec<u8>),
    /// It has written more than any line may have.
    Flood,
    /// Nothing of it is left.
    Ended(Ending),
}

/// Where what it says on standard error goes.
#[derive(Debug)]
pub enum Errors {
    /// Into the app's log.
    Logged,
    /// To this pipe.
    To(OwnedFd),
}

/// See the module's text.
#[derive(Debug)]
pub struct Process {
    aside: Aside,
    input: Option<pipe::Sender>,
    /// What is to be written.
    unwritten: Vec<u8>,
    output: Option<pipe::Receiver>,
    /// What was read, up to a newline and beyond.
    read: Vec<u8>,
}

impl Process {
    /// Start the plugin of a policy.
    ///
    /// # Errors
    /// When no process can be started. What goes wrong later is [`Happening::Ended`].
    pub fn start(starter: &Starter, of: &OfPolicy, errors: Errors) -> io::Result<Process> {
        let (writer, input) = file::input_pipe()?;
        let (reader, answers) = file::pipe()?;
        let (logged, errors) = match errors {
            Errors::Logged => (true, file::open_null()?),
            Errors::To(pipe) => (false, pipe),
        };
        let order = Order::plugin(of.clone(), logged);
        let aside = starter.start(&order, input, errors, Some(answers))?;
        Ok(Process {
            aside,
            input: Some(pipe::Sender::from_owned_fd(writer)?),
            unwritten: Vec::new(),
            output: Some(pipe::Receiver::from_owned_fd(reader)?),
            read: Vec::new(),
        })
    }

    /// Have a line written, behind those that it has not read yet.
    pub fn write(&mut self, line: &str) {
        self.unwritten.extend(line.as_bytes());
    }

    /// Nothing more will be asked: it reads the end of its input.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// What happens next. Nothing is lost if this is given up while it waits.
    pub async fn happening(&mut self) -> Happening {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.read, rest);
                line.pop();
                return Happening::Line(line);
            }
            if self.read.len() > PLUGIN_LINE_BYTES {
                return Happening::Flood;
            }
            tokio::select! {
                // Answers before an end: the last one may have come with it.
                biased;
                open = read(&mut self.output, &mut self.read) => if !open {
                    self.output = None;
                },
                news = self.aside.news() => match news {
                    News::Started => return Happening::Started,
                    News::Ended(ending) => return Happening::Ended(ending),
                },
                written = write(&mut self.input, &self.unwritten) => match written {
                    Ok(count) => drop(self.unwritten.drain(..count)),
                    // It reads no more; its silence is noticed.
                    Err(_) => self.input = None,
                },
            }
        }
    }
}

/// Read a piece; `false` at the end. Never done where there is nothing to read from.
async fn read(output: &mut Option<pipe::Receiver>, to: &mut Vec<u8>) -> bool {
    let Some(output) = output else { return std::future::pending().await };
    let mut piece = [0; PIECE];
    match output.read(&mut piece).await {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            to.extend(&piece[..count]);
            true
        }
    }
}

/// Write what can be written. Never done where there is nothing to write, or nobody to read it.
async fn write(input: &mut Option<pipe::Sender>, bytes: &[u8]) -> io::Result<usize> {
    match input {
        Some(input) if !bytes.is_empty() => input.write(bytes).await,
        _ => std::future::pending().await,
    }
}
