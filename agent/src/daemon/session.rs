//! The streams of a command that runs inside an instance, as frames to and from a client.
//!
//! Invariant: every byte of the command's output reaches the client before its end does, as far as
//! the client takes them; a client that goes away hangs up on the command (SIGHUP), as a terminal
//! would. Never reads what the command did not write.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use host_sys::signal::number;
use host_sys::{file, terminal};
use manifest_spec::api::{Exit, Frame, Frames};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::event::{CommandNews, Event, Running};
use crate::keep::status::Ending;

/// Frames that wait for a slow client; the command waits with them.
const WAITING: usize = 16;

/// Bytes read at once.
const CHUNK: usize = 32 * 1024;

/// How long output is waited for when the command has ended and something of it is left that keeps
/// the pipe open.
const REST: Duration = Duration::from_secs(1);

/// Serve one command to its end.
pub async fn serve(client: impl AsyncRead + AsyncWrite + Unpin + 'static, running: Running) {
    let (reader, writer) = tokio::io::split(client);
    let (frames, waiting) = mpsc::channel(WAITING);
    let sending = tokio::task::spawn_local(send(writer, waiting));
    let mut session = Session { running, frames, input: None, terminal: None, outputs: Vec::new() };
    if session.connect().is_ok() {
        session.run(reader).await;
    }
    drop(session);
    let _ = sending.await;
}

struct Session {
    running: Running,
    frames: mpsc::Sender<Frame>,
    input: Option<pipe::Sender>,
    /// The other side of its terminal, if it has one.
    terminal: Option<OwnedFd>,
    outputs: Vec<JoinHandle<()>>,
}

impl Session {
    fn connect(&mut self) -> io::Result<()> {
        let Some([input, output, error]) = self.running.streams.take() else { return Ok(()) };
        self.input = Some(pipe::Sender::from_owned_fd(input)?);
        for (fd, frame) in [(output, Frame::Stdout as fn(Vec<u8>) -> Frame), (error, Frame::Stderr)]
        {
            let stream = pipe::Receiver::from_owned_fd(fd)?;
            let task = tokio::task::spawn_local(pump(stream, self.frames.clone(), frame));
            self.outputs.push(task);
        }
        Ok(())
    }

    async fn run(&mut self, mut reader: impl AsyncRead + Unpin) {
        let mut incoming = Frames::default();
        let mut buffer = vec![0; CHUNK];
        let mut connected = true;
        // What is typed before its terminal is there waits where it is.
        let mut joined = self.input.is_some();
        loop {
            tokio::select! {
                news = self.running.news.recv() => match news {
                    Some(CommandNews::Terminal(master)) => {
                        connected &= self.join(master).is_ok();
                        joined = true;
                    }
                    Some(CommandNews::Ended(ending)) => return self.finish(last(&ending)).await,
                    Some(CommandNews::NotStarted(text, exit_code)) => {
                        return self.finish(Frame::Failed { exit_code, text }).await;
                    }
                    // Its instance has ended, and it with that.
                    None => {
                        return self.finish(Frame::Exit(Exit::Signaled(number::KILL))).await;
                    }
                },
                read = reader.read(&mut buffer), if connected && joined => match read {
                    Ok(length) if length > 0 => {
                        incoming.push(&buffer[..length]);
                        connected = self.obey(&mut incoming).await;
                    }
                    _ => connected = false,
                },
            }
            if !connected {
                self.input = None;
                self.signal(number::HUP);
                return;
            }
        }
    }

    /// Do what the client says; `false` if it says what can't be understood.
    async fn obey(&mut self, incoming: &mut Frames) -> bool {
        loop {
            match incoming.take() {
                Ok(Some(Frame::Stdin(bytes))) => self.write(&bytes).await,
                Ok(Some(Frame::CloseStdin)) => self.close_input().await,
                Ok(Some(Frame::Resize(columns, rows))) => self.resize(columns, rows),
                Ok(Some(Frame::Signal(signal))) => self.signal(signal),
                Ok(Some(_)) | Err(_) => return false,
                Ok(None) => return true,
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        if let Some(input) = &mut self.input
            && input.write_all(bytes).await.is_err()
        {
            self.input = None;
        }
    }

    /// No more input; to a terminal that is said by its end-of-file key (termios(3): VEOF).
    async fn close_input(&mut self) {
        if self.terminal.is_some() {
            self.write(b"\x04").await;
        } else {
            self.input = None;
        }
    }

    fn resize(&self, columns: u16, rows: u16) {
        if let Some(master) = &self.terminal {
            // A terminal that is gone has no size.
            let _ = terminal::set_size(master.as_fd(), terminal::Size::new(rows, columns));
        }
    }

    fn signal(&self, signal: i32) {
        let Running { mark, id, sender, .. } = &self.running;
        let _ = sender.send(Event::SignalInside(mark.clone(), *id, signal));
    }

    /// Join the command's terminal. The types are those of pipes, which a terminal's other side is
    /// read and written like; it says EIO when its last user has gone (pty(7)).
    fn join(&mut self, master: OwnedFd) -> io::Result<()> {
        file::set_nonblocking(master.as_fd())?;
        let reader = pipe::Receiver::from_owned_fd_unchecked(file::duplicate(master.as_fd())?)?;
        let writer = pipe::Sender::from_owned_fd_unchecked(file::duplicate(master.as_fd())?)?;
        let task = tokio::task::spawn_local(pump(reader, self.frames.clone(), Frame::Stdout));
        self.outputs.push(task);
        self.input = Some(writer);
        self.terminal = Some(master);
        Ok(())
    }

    /// Send what is left of the output, then the last frame.
    async fn finish(&mut self, frame: Frame) {
        self.input = None;
        for output in self.outputs.drain(..) {
            let abort = output.abort_handle();
            if timeout(REST, output).await.is_err() {
                abort.abort();
            }
        }
        let _ = self.frames.send(frame).await;
    }
}

fn last(ending: &Ending) -> Frame {
    match ending {
        Ending::Exit(code) => Frame::Exit(Exit::Exited(i32::from(*code))),
        Ending::Signal { number, .. } => Frame::Exit(Exit::Signaled(*number)),
        _ => Frame::Exit(Exit::Signaled(number::KILL)),
    }
}

async fn send(mut writer: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Frame>) {
    let mut bytes = Vec::new();
    while let Some(frame) = frames.recv().await {
        bytes.clear();
        frame.encode(&mut bytes);
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
    let _ = writer.shutdown().await;
}

async fn pump(
    mut stream: pipe::Receiver,
    frames: mpsc::Sender<Frame>,
    frame: fn(Vec<u8>) -> Frame,
) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        if frames.send(frame(buffer[..length].to_vec())).await.is_err() {
            return;
        }
    }
}
