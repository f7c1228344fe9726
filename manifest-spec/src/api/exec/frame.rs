//! The frames of `hostctl-exec/1`: a byte for the kind, the length as 32 bits (little end first),
//! that many bytes.
//!
//! | kind | frame | bytes | sent by |
//! | --- | --- | --- | --- |
//! | 0 | stdin | data | client |
//! | 1 | stdout | data | daemon |
//! | 2 | stderr | data | daemon |
//! | 3 | resize | columns, rows: 16 bits each | client |
//! | 4 | signal | number: 32 bits | client |
//! | 5 | close stdin | none | client |
//! | 6 | exit | 0 (exited) or 1 (signal), then status or signal: 32 bits | daemon, last |
//! | 7 | failed | exit code, then a text | daemon, last |
//!
//! Numbers have their little end first. Invariant: what is encoded is decoded to the same streams,
//! wherever the bytes are cut; a frame beyond [`FRAME_BYTES`] is refused before it is collected.
//! Never waits, never reads: the caller moves the bytes.

use std::fmt;

use crate::tree::boundary;

/// Longest content of a frame: what a pipe holds (pipe(7)).
pub const FRAME_BYTES: usize = 64 * 1024;

/// Kind and length.
const HEAD_BYTES: usize = 5;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// For the command's standard input.
    Stdin(Vec<u8>),
    /// From its standard output, or from its terminal.
    Stdout(Vec<u8>),
    /// From its standard error.
    Stderr(Vec<u8>),
    /// The terminal has another size: columns, rows.
    Resize(u16, u16),
    /// A signal for the command, by number.
    Signal(i32),
    /// Nothing more comes for standard input.
    CloseStdin,
    /// The command has ended; nothing follows.
    Exit(Exit),
    /// There was no command to end; nothing follows.
    Failed {
        /// What a client exits with: 126 and 127 as a shell does, else as in `ErrorBody`.
        exit_code: u8,
        /// Lower case, names the object; cut at [`FRAME_BYTES`].
        text: String,
    },
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status, 0 to 255.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

/// What is no frame; the connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// A kind that is none.
    Kind(u8),
    /// A frame of this length.
    TooLong(usize),
    /// A frame of this kind whose content is not what it says.
    Content(u8),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "there is no frame of kind {kind}"),
            Self::TooLong(length) => {
                write!(f, "a frame of {length} bytes is longer than {FRAME_BYTES}")
            }
            Self::Content(kind) => write!(f, "a frame of kind {kind} has the wrong content"),
        }
    }
}

impl std::error::Error for FrameError {}

impl Frame {
    /// Writes it behind what is there. Data beyond [`FRAME_BYTES`] becomes several frames, since
    /// where a stream is cut means nothing; data of no bytes becomes none.
    pub fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Self::Stdin(data) => stream(0, data, to),
            Self::Stdout(data) => stream(1, data, to),
            Self::Stderr(data) => stream(2, data, to),
            Self::Resize(columns, rows) => {
                one(3, &[columns.to_le_bytes(), rows.to_le_bytes()].concat(), to);
            }
            Self::Signal(number) => one(4, &number.to_le_bytes(), to),
            Self::CloseStdin => one(5, &[], to),
            Self::Exit(Exit::Exited(status)) => exit(0, *status, to),
            Self::Exit(Exit::Signaled(signal)) => exit(1, *signal, to),
            Self::Failed { exit_code, text } => {
                let text = &text[..boundary(text, FRAME_BYTES - 1)];
                one(7, &[&[*exit_code], text.as_bytes()].concat(), to);
            }
        }
    }

    fn decode(kind: u8, content: &[u8]) -> Result<Self, FrameError> {
        let wrong = FrameError::Content(kind);
        Ok(match kind {
            0 => Self::Stdin(content.to_vec()),
            1 => Self::Stdout(content.to_vec()),
            2 => Self::Stderr(content.to_vec()),
            3 => {
                let [a, b, c, d] = array(content).ok_or(wrong)?;
                Self::Resize(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
            }
            4 => Self::Signal(i32::from_le_bytes(array(content).ok_or(wrong)?)),
            5 if content.is_empty() => Self::CloseStdin,
            6 => {
                let (how, number) = content.split_first().ok_or(wrong)?;
                let number = i32::from_le_bytes(array(number).ok_or(wrong)?);
                match how {
                    0 => Self::Exit(Exit::Exited(number)),
                    1 => Self::Exit(Exit::Signaled(number)),
                    _ => return Err(wrong),
                }
            }
            7 => {
                let (exit_code, text) = content.split_first().ok_or(wrong)?;
                let text = String::from_utf8(text.to_vec()).map_err(|_| wrong)?;
                Self::Failed { exit_code: *exit_code, text }
            }
            5 => return Err(wrong),
            _ => return Err(FrameError::Kind(kind)),
        })
    }
}

fn array<const N: usize>(content: &[u8]) -> Option<[u8; N]> {
    content.try_into().ok()
}

fn one(kind: u8, content: &[u8], to: &mut Vec<u8>) {
    debug_assert!(content.len() <= FRAME_BYTES);
    to.push(kind);
    to.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
    to.extend_from_slice(content);
}

fn stream(kind: u8, data: &[u8], to: &mut Vec<u8>) {
    for part in data.chunks(FRAME_BYTES) {
        one(kind, part, to);
    }
}

fn exit(how: u8, number: i32, to: &mut Vec<u8>) {
    one(6, &[&[how], number.to_le_bytes().as_slice()].concat(), to);
}

/// What was received and is not a whole frame yet.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Of `bytes`, those that were given out.
    taken: usize,
}

impl Frames {
    /// Takes in what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether the connection may end here: no frame was begun.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// The next frame, `None` until more was pushed.
    ///
    /// # Errors
    /// When what comes is no frame, as soon as its head says so; it then stays so.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = &self.bytes[self.taken..];
        let Some((head, rest)) = rest.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let [kind, length @ ..] = *head;
        if kind > 7 {
            return Err(FrameError::Kind(kind));
        }
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > FRAME_BYTES {
            return Err(FrameError::TooLong(length));
        }
        let Some(content) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = Frame::decode(kind, content)?;
        self.taken += HEAD_BYTES + length;
        Ok(Some(frame))
    }
}
