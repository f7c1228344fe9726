//! What process 1 says, as bytes and back.
//!
//! Invariant: [`Report::decode`] takes exactly what [`Report::encode`] makes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use host_sys::Errno;
use host_sys::process::Exit;

use super::Reader;

/// Longest report; a longer detail is cut.
pub(super) const LIMIT: usize = 4096;

/// From inside to the supervisor.
#[derive(Debug)]
pub enum Report {
    /// A step failed and nothing was started.
    Failed(Failure),
    /// The other side of the program's terminal.
    Terminal(OwnedFd),
    /// A socket that was made for the program, for others to share.
    Socket(OwnedFd),
    /// The program is about to replace process 2: every wall stands.
    Ready,
    /// The program has replaced it.
    Started,
    /// A thread made a system call that the filter refuses and was sent SIGSYS.
    Denied {
        /// The call's number.
        call: i32,
    },
    /// The program ended; what it left behind is being ended too.
    Ended(Exit),
    /// The other side of a command's terminal.
    ExecTerminal {
        /// The command.
        id: u32,
        /// To read its output from, and to type into. `None` where the supervisor has no descriptor
        /// left for it: it is closed then, which the command is told of as of any hang-up.
        master: Option<OwnedFd>,
    },
    /// A command ended.
    Executed {
        /// The command.
        id: u32,
        /// How.
        exit: Exit,
    },
    /// A command was not started.
    NotExecuted {
        /// The command.
        id: u32,
        /// Why; its step is the one that starts the program.
        failure: Failure,
    },
}

/// A step that could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Index of the step in its list.
    pub step: u16,
    /// What the kernel said; `None` when the cause is not a kernel error.
    pub errno: Option<Errno>,
    /// More about the object; may be empty.
    pub detail: String,
}

impl Failure {
    /// As bytes, the detail cut where a report with them would become too long.
    pub(in crate::sandbox) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.step.to_le_bytes().to_vec();
        bytes.extend(self.errno.map_or(0, |errno| errno as i32).to_le_bytes());
        bytes.extend(self.detail.as_bytes());
        bytes.truncate(LIMIT - 5);
        bytes
    }

    /// From all of these bytes.
    pub(in crate::sandbox) fn decode(bytes: &[u8]) -> Option<Failure> {
        let mut bytes = Reader(bytes);
        let (step, errno) = (bytes.short()?, bytes.signed()?);
        Some(Failure {
            step,
            errno: (errno != 0).then(|| Errno::from_raw(errno)),
            detail: String::from_utf8_lossy(bytes.rest()).into_owned(),
        })
    }
}

impl Report {
    pub(super) fn encode(&self) -> (Vec<u8>, Option<BorrowedFd<'_>>) {
        let message = |tag, pieces: &[&[u8]]| [&[tag][..], &pieces.concat()].concat();
        match self {
            Report::Failed(failure) => (message(b'F', &[&failure.encode()]), None),
            Report::Terminal(master) => (vec![b'T'], Some(master.as_fd())),
            Report::Socket(socket) => (vec![b'L'], Some(socket.as_fd())),
            Report::Ready => (vec![b'R'], None),
            Report::Started => (vec![b'S'], None),
            Report::Denied { call } => (message(b'D', &[&call.to_le_bytes()]), None),
            Report::Ended(exit) => (message(b'E', &[&encode_exit(*exit)]), None),
            Report::ExecTerminal { id, master } => {
                (message(b't', &[&id.to_le_bytes()]), master.as_ref().map(AsFd::as_fd))
            }
            Report::Executed { id, exit } => {
                (message(b'e', &[&id.to_le_bytes(), &encode_exit(*exit)]), None)
            }
            Report::NotExecuted { id, failure } => {
                (message(b'f', &[&id.to_le_bytes(), &failure.encode()]), None)
            }
        }
    }

    /// From a message with these descriptors; `stripped` if it had others.
    pub(super) fn decode(
        bytes: &[u8],
        mut descriptors: Vec<OwnedFd>,
        stripped: bool,
    ) -> Option<Report> {
        let mut bytes = Reader(bytes);
        let tag = bytes.byte()?;
        let wanted = usize::from(matches!(tag, b'T' | b't' | b'L'));
        let lost = stripped && tag == b't';
        if !lost && (stripped || descriptors.len() != wanted) {
            return None;
        }
        let report = match tag {
            b'F' => Report::Failed(Failure::decode(bytes.rest())?),
            b'T' => Report::Terminal(descriptors.pop()?),
            b'L' => Report::Socket(descriptors.pop()?),
            b'R' => Report::Ready,
            b'S' => Report::Started,
            b'D' => Report::Denied { call: bytes.signed()? },
            b'E' => Report::Ended(decode_exit(&mut bytes)?),
            b't' => Report::ExecTerminal { id: bytes.number()?, master: descriptors.pop() },
            b'e' => Report::Executed { id: bytes.number()?, exit: decode_exit(&mut bytes)? },
            b'f' => {
                Report::NotExecuted { id: bytes.number()?, failure: Failure::decode(bytes.rest())? }
            }
            _ => return None,
        };
        bytes.end()?;
        Some(report)
    }
}

fn encode_exit(exit: Exit) -> [u8; 6] {
    let (kind, value, core) = match exit {
        Exit::Code(code) => (b'c', i32::from(code), false),
        Exit::Signal(signal, core) => (b's', signal, core),
    };
    let [a, b, c, d] = value.to_le_bytes();
    [kind, u8::from(core), a, b, c, d]
}

fn decode_exit(bytes: &mut Reader<'_>) -> Option<Exit> {
    let (kind, core, value) = (bytes.byte()?, bytes.byte()?, bytes.signed()?);
    match kind {
        b'c' => Some(Exit::Code(u8::try_from(value).ok()?)),
        b's' => Some(Exit::Signal(value, core != 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use host_sys::socket;

    use super::super::Line;
    use super::*;

    fn round_trip(report: &Report) -> Report {
        let (inside, outside) = Line::pair().unwrap();
        inside.report(report).unwrap();
        outside.next_report().unwrap().unwrap()
    }

    fn failure(detail: String) -> Failure {
        Failure { step: 7, errno: Some(Errno::ENOENT), detail }
    }

    fn master() -> OwnedFd {
        socket::pair().unwrap().0
    }

    fn all() -> Vec<Report> {
        let exits = [Exit::Code(255), Exit::Signal(64, true)];
        let mut all = vec![Report::Failed(failure("/srv/ä".to_owned()))];
        all.extend([Report::Terminal(master()), Report::Ready, Report::Started]);
        all.push(Report::Denied { call: 165 });
        all.extend(exits.map(Report::Ended));
        all.push(Report::ExecTerminal { id: u32::MAX, master: Some(master()) });
        all.extend(exits.map(|exit| Report::Executed { id: 3, exit }));
        all.push(Report::NotExecuted { id: 4, failure: failure(String::new()) });
        all
    }

    /// A descriptor's number is another on each side.
    fn shown(report: &Report) -> String {
        match report {
            Report::Terminal(_) => "a terminal".to_owned(),
            Report::ExecTerminal { id, .. } => format!("{id}'s terminal"),
            report => format!("{report:?}"),
        }
    }

    #[test]
    fn reports_survive_the_socket() {
        for report in all() {
            assert_eq!(shown(&round_trip(&report)), shown(&report));
        }
        let long = Report::NotExecuted { id: 4, failure: failure("x".repeat(2 * LIMIT)) };
        let Report::NotExecuted { failure, .. } = round_trip(&long) else { panic!("{long:?}") };
        assert!(failure.detail.len() > LIMIT - 64);
    }

    #[test]
    fn a_report_that_is_torn_or_has_more_or_other_descriptors_is_none() {
        for report in all() {
            let (bytes, passed) = report.encode();
            let count = usize::from(passed.is_some());
            let with = |bytes: &[u8], count| {
                Report::decode(bytes, (0..count).map(|_| master()).collect(), false)
            };
            assert!(with(&bytes, count).is_some(), "{report:?}");
            assert!(with(&bytes, 1 - count).is_none(), "{report:?}");
            assert!(with(&bytes, 2).is_none(), "{report:?}");
            let lost = Report::decode(&bytes, Vec::new(), true);
            let bearable = matches!(lost, Some(Report::ExecTerminal { master: None, .. }));
            assert_eq!(bearable, matches!(report, Report::ExecTerminal { .. }), "{lost:?}");
            assert!(bearable || lost.is_none(), "{lost:?}");
            let open_ended = matches!(report, Report::Failed(_) | Report::NotExecuted { .. });
            let fixed = if open_ended { 5 } else { bytes.len() };
            for length in 0..fixed {
                assert!(with(&bytes[..length], count).is_none(), "{report:?}");
            }
            if !open_ended {
                let longer = [&bytes[..], b"x"].concat();
                assert!(with(&longer, count).is_none(), "{report:?}");
            }
        }
    }
}
