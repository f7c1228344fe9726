//! The streams and signals of a command that runs inside an instance.
//!
//! Invariant: its output is passed on byte by byte, standard output and standard error apart, all
//! of it before its exit code counts; the terminal is given back as it was, however this ends.
//! Whatever waits, a second Ctrl-C ends this side: hostd then hangs up on the command.

use agent::failure::Error;
use host_sys::file;
use host_sys::signal::number;
use host_sys::terminal::{self, Raw};
use manifest_spec::api::{ErrorBody, ErrorCode, Exit, Frame, Frames};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::streams::{self, Output};
use crate::signals::Arriving;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Columns and rows of the terminal that output goes to, else of the one that keys come from.
pub fn size() -> Option<(u16, u16)> {
    let [input, output, _] = file::standard();
    let size = terminal::size(output).or_else(|_| terminal::size(input)).ok()?;
    (size.columns() > 0).then(|| (size.columns(), size.rows()))
}

/// Carry the streams until the command has ended.
pub async fn run(
    connection: impl AsyncRead + AsyncWrite + Unpin,
    tty: bool,
) -> Result<Exit, Error> {
    let signals = [number::INT, number::TERM, number::QUIT, number::HUP, number::WINCH];
    let mut signals = Arriving::take(&signals)?;
    let [input, ..] = file::standard();
    let raw = if tty { Some(Raw::enter(input)?) } else { None };
    let (from, to) = tokio::io::split(connection);
    let (orders, waiting) = mpsc::unbounded_channel();
    let (output, errors) = (Output::new(1), Output::new(2));
    let result = tokio::select! {
        result = receive(from, output, errors) => result,
        number = attend(&mut signals, tty, &orders) => Ok(Exit::Signaled(number)),
        never = send(to, waiting, streams::input()) => never,
    };
    drop(raw);
    result
}

/// What the command says, until it has ended.
async fn receive(
    mut from: impl AsyncRead + Unpin,
    output: Output,
    errors: Output,
) -> Result<Exit, Error> {
    let mut frames = Frames::default();
    let mut buffer = vec![0; CHUNK];
    let last = loop {
        match next(&mut from, &mut frames, &mut buffer).await? {
            Frame::Stdout(bytes) => {
                // Nobody reads any more: as if the command had written to that itself.
                if !output.put(bytes).await {
                    return Ok(Exit::Signaled(number::PIPE));
                }
            }
            Frame::Stderr(bytes) => drop(errors.put(bytes).await),
            Frame::Exit(exit) => break Ok(exit),
            Frame::Failed { exit_code, text } => break Err(failed(exit_code, text)),
            frame
            @ (Frame::Stdin(_) | Frame::Resize(..) | Frame::Signal(_) | Frame::CloseStdin) => {
                return Err(broken(&format!("hostd sent what only hostctl sends: {frame:?}")));
            }
        }
    };
    output.finish().await;
    errors.finish().await;
    last
}

async fn next(
    from: &mut (impl AsyncRead + Unpin),
    frames: &mut Frames,
    buffer: &mut [u8],
) -> Result<Frame, Error> {
    loop {
        if let Some(frame) = frames.take().map_err(|error| broken(&error.to_string()))? {
            return Ok(frame);
        }
        match from.read(buffer).await {
            Ok(length @ 1..) => frames.push(&buffer[..length]),
            Ok(0) => return Err(broken("hostd ended it before the command did")),
            Err(error) => return Err(broken(&error.to_string())),
        }
    }
}

/// Orders and standard input to the command, for as long as this is polled.
async fn send(
    mut to: impl AsyncWrite + Unpin,
    mut orders: mpsc::UnboundedReceiver<Frame>,
    mut input: mpsc::Receiver<Frame>,
) -> Result<Exit, Error> {
    let mut bytes = Vec::with_capacity(CHUNK);
    loop {
        let frame = tokio::select! {
            biased;
            Some(frame) = orders.recv() => frame,
            Some(frame) = input.recv() => frame,
            else => return std::future::pending().await,
        };
        bytes.clear();
        frame.encode(&mut bytes);
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            // The other direction tells how it ended.
            return std::future::pending().await;
        }
    }
}

/// Signals, until one ends this side: its number.
async fn attend(signals: &mut Arriving, tty: bool, orders: &mpsc::UnboundedSender<Frame>) -> i32 {
    let mut interrupted = false;
    loop {
        let frame = match signals.next().await {
            number::WINCH if !tty => continue,
            number::WINCH => match size() {
                Some((columns, rows)) => Frame::Resize(columns, rows),
                None => continue,
            },
            // Nobody is there any more; hostd hangs up on the command.
            number::HUP => return number::HUP,
            // With a terminal Ctrl-C is a key: who sends a signal means this process.
            number if tty => return number,
            number::INT if interrupted => return number::INT,
            number => {
                interrupted |= number == number::INT;
                Frame::Signal(number)
            }
        };
        // The other side of the channel lives as long as this.
        let _ = orders.send(frame);
    }
}

/// The command could not be started.
fn failed(exit_code: u8, message: String) -> Error {
    Error::from(ErrorBody {
        code: ErrorCode::Unknown,
        message,
        hint: None,
        diagnostics: Vec::new(),
        more_diagnostics: 0,
        exit_code,
    })
}

fn broken(how: &str) -> Error {
    let hint = "`hostctl ps` tells whether its instance still runs";
    Error::Unreachable(format!("the connection to the command is lost: {how}"), hint.into())
}
