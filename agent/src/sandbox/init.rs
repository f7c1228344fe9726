//! Process 1 of a sandbox: builds it around itself and starts the program.
//!
//! Invariant: it runs as the program's user behind the program's walls, holds no privilege, and
//! can't be traced or signalled from inside. It ends when its supervisor does, and the kernel then
//! ends everything in its pid namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use host_sys::file::{self, Kind};
use host_sys::process::{self, Child};
use host_sys::{Errno, Result, socket, terminal};

use super::apply::{Scaffold, StepError, errno_of};
use super::attend::Attendant;
use super::message::{Failure, Line, Report};
use super::program::{self, StartError};
use super::step::{Program, Step};

/// What the program's standard input, output and error are connected to.
#[derive(Debug, Clone, Copy)]
pub struct StandardStreams {
    /// Which of the three become a terminal of the sandbox's own.
    pub terminal: [bool; 3],
    /// Whether somebody types into it: standard input is a terminal, in whose foreground hostctl is.
    pub keyboard: bool,
    /// Its size from the start on: that of the terminal it shows on.
    pub size: Option<terminal::Size>,
}

impl StandardStreams {
    /// What the streams of a caller are: which of `streams`, as the program gets them, are
    /// terminals, and how the caller uses them.
    pub fn of(streams: [BorrowedFd<'_>; 3]) -> Self {
        let is_terminal = streams.map(terminal::is_terminal);
        let keyboard = is_terminal[0] && terminal::in_foreground(streams[0]);
        let standard = StandardStreams { terminal: is_terminal, keyboard, size: None };
        StandardStreams { size: terminal::size(streams[standard.shown()]).ok(), ..standard }
    }

    /// The stream whose terminal shows the output: the first of output, error and input that is one.
    pub fn shown(self) -> usize {
        [1, 2, 0].into_iter().find(|index| self.terminal[*index]).unwrap_or(1)
    }
}

/// Why a descriptor can't be a standard stream of a process inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// A directory, through which it could leave the sandbox (CVE-2024-21626).
    Directory,
    /// A socket that stays under its maker's rules.
    Socket,
}

/// What makes this descriptor no stream for a process inside, if anything does.
pub fn unfit(fd: BorrowedFd<'_>) -> Option<Unfit> {
    if socket::leads_elsewhere(fd) {
        return Some(Unfit::Socket);
    }
    let directory = file::status(fd).is_ok_and(|status| status.kind == Kind::Directory);
    directory.then_some(Unfit::Directory)
}

/// What a sandbox is born into.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// What the streams are.
    pub standard: StandardStreams,
    /// They replace 0, 1, 2 inside.
    pub streams: [BorrowedFd<'a>; 3],
    /// Its first process is born in this cgroup, so that nothing of it was ever outside.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The network that was built for the instance.
    pub network: Option<BorrowedFd<'a>>,
    /// Whether its sockets are shared with further instances, through its supervisor.
    pub shared: bool,
    /// Sockets that the caller gave for the program.
    pub given: &'a [OwnedFd],
}

/// A sandbox as its supervisor holds it.
#[derive(Debug)]
pub struct Sandbox {
    /// Process 1.
    pub init: Child,
    /// The conversation with it.
    pub line: Line,
}

/// Start a sandbox: its first process, which does the steps.
///
/// # Errors
/// When the first process can't be started; whatever fails inside is reported on the line.
pub fn spawn(steps: &[Step], around: Surroundings<'_>) -> Result<Sandbox> {
    let (inside, outside) = Line::pair()?;
    let namespaces = steps.iter().find_map(|step| match step {
        Step::Isolate(namespaces) => Some(*namespaces),
        _ => None,
    });
    let mut outside = Some(outside);
    let init = process::spawn(namespaces.unwrap_or_default(), around.cgroup, || {
        // The copy of the supervisor's end would keep the line open after the supervisor's death.
        outside = None;
        run(steps, around, &inside)
    })?;
    let line = outside.ok_or(Errno::EBADF)?;
    Ok(Sandbox { init, line })
}

/// The life of process 1; its result is its exit code, which nobody depends on.
fn run(steps: &[Step], around: Surroundings<'_>, line: &Line) -> u8 {
    match build(steps, around, line) {
        Ok(attendant) => attendant.attend().map_or(1, |()| 0),
        Err(failure) => {
            // If the supervisor is gone there is nobody to tell.
            let _ = line.report(&Report::Failed(failure));
            1
        }
    }
}

/// Do every step; the answer attends to the program.
fn build<'a>(
    steps: &[Step],
    around: Surroundings<'_>,
    line: &'a Line,
) -> std::result::Result<Attendant<'a>, Failure> {
    let failed = |step: usize, error: StepError| error.at(step);
    let _ = process::set_name(c"hostctl-init");
    process::die_with_parent().map_err(|errno| failed(0, errno.into()))?;
    give_up_protection().map_err(|errno| failed(0, errno.into()))?;
    for (number, fd) in (0..).zip(around.streams) {
        process::set_standard(number, fd).map_err(|errno| failed(0, errno.into()))?;
    }
    let mut needed = vec![line.as_fd()];
    needed.extend(around.network);
    needed.extend(around.given.iter().map(AsFd::as_fd));
    process::keep_only(&needed).map_err(|errno| failed(0, errno.into()))?;
    let mut scaffold = Scaffold::new(around.given, around.network);
    for (index, step) in steps.iter().enumerate() {
        scaffold.apply(step).map_err(|error| failed(index, error))?;
        if let Step::Start(program) = step {
            if around.shared {
                report_sockets(&scaffold.sockets, line)
                    .map_err(|errno| failed(index, errno.into()))?;
            }
            let pid = launch(program, around.standard, &scaffold.sockets, line)
                .map_err(|error| error.at(index))?;
            return Ok(Attendant::new(pid, index, scaffold.listener, line));
        }
    }
    Err(failed(steps.len(), Errno::EINVAL.into()))
}

/// What keeps hostd from being ended when memory runs out (`OOMScoreAdjust=` of its unit) keeps no
/// app (proc_pid_oom_score_adj(5)). Giving it up needs no privilege, taking it back does. An app that
/// its caller has made the first to go stays so.
fn give_up_protection() -> Result<()> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let protected = std::fs::read_to_string(FILE).is_ok_and(|score| score.starts_with('-'));
    match protected {
        true => std::fs::write(FILE, "0").map_err(|error| errno_of(&error)),
        false => Ok(()),
    }
}

/// Hand copies of the sockets out, for further instances of the service.
fn report_sockets(sockets: &[OwnedFd], line: &Line) -> Result<()> {
    for socket in sockets {
        line.report(&Report::Socket(file::duplicate(socket.as_fd())?))?;
    }
    Ok(())
}

/// Start the program: once this has an answer, it is the program that runs.
fn launch(
    program: &Program,
    standard: StandardStreams,
    sockets: &[OwnedFd],
    line: &Line,
) -> std::result::Result<i32, StartError> {
    let slave = match standard.terminal {
        [false, false, false] => None,
        _ => Some(open_terminal(standard, line)?),
    };
    line.report(&Report::Ready)?;
    let mut failure = None;
    let pid = process::spawn_and_wait_for_exec(|| {
        // In this process's own memory, as if it were a function that was called.
        failure = Some(match settle(standard, slave.as_ref(), sockets) {
            Ok(()) => program::start(program, sockets.len()),
            Err(errno) => errno.into(),
        });
        127
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    line.report(&Report::Started)?;
    let null: OwnedFd = file::open_null()?;
    for number in 0..3 {
        // The program's end of a pipe must not stay open here after the program closed it.
        process::set_standard(number, null.as_fd())?;
    }
    Ok(pid)
}

/// A terminal for the program: its side; the other is reported.
fn open_terminal(standard: StandardStreams, line: &Line) -> Result<OwnedFd> {
    let (master, slave) = terminal::open_pair(c"/dev/ptmx")?;
    if !standard.keyboard {
        // The caller's terminal then stays as it is and ends lines; twice would show.
        terminal::pass_output(slave.as_fd())?;
    }
    if let Some(size) = standard.size {
        terminal::set_size(slave.as_fd(), size)?;
    }
    line.report(&Report::Terminal(master))?;
    Ok(slave)
}

/// Make the program's process ready for its program: own session, own terminal, nothing inherited.
fn settle(standard: StandardStreams, slave: Option<&OwnedFd>, sockets: &[OwnedFd]) -> Result<()> {
    process::new_session()?;
    if let Some(slave) = slave {
        terminal::control(slave.as_fd())?;
        for (number, wanted) in (0..).zip(standard.terminal) {
            if wanted {
                process::set_standard(number, slave.as_fd())?;
            }
        }
    }
    process::close_all_on_exec()?;
    let sockets: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    process::pass_on(&sockets)?;
    host_sys::signal::reset()
}
