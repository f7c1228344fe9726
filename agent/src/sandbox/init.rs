//! Process 1 of a sandbox: builds it around itself, starts the program, reaps what is orphaned.
//!
//! Invariant: it runs as the program's user behind the program's walls, holds no privilege, and
//! can't be traced or signalled from inside. It ends when its supervisor does, and the kernel then
//! ends everything in its pid namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use host_sys::poll::{Interest, wait};
use host_sys::process::{self, Child, Exit, Reaped};
use host_sys::seccomp::Listener;
use host_sys::signal::{Signals, number};
use host_sys::{Errno, Result, file, terminal};

use super::apply::{Scaffold, StepError};
use super::message::{Failure, Line, Order, Report};
use super::program;
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
        Ok((program, listener)) => attend(program, listener, line).map_or(1, |()| 0),
        Err(failure) => {
            // If the supervisor is gone there is nobody to tell.
            let _ = line.report(&Report::Failed(failure));
            1
        }
    }
}

/// Do every step; the answer is the program's process number and the listener for denied calls.
fn build(
    steps: &[Step],
    around: Surroundings<'_>,
    line: &Line,
) -> std::result::Result<(i32, Option<Listener>), Failure> {
    let failed = |step: usize, error: StepError| Failure {
        step: step as u16,
        errno: error.errno,
        detail: error.detail,
    };
    let _ = process::set_name(c"hostctl-init");
    process::die_with_parent().map_err(|errno| failed(0, errno.into()))?;
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
            let pid = launch(program, index, around.standard, &scaffold.sockets, line)
                .map_err(|errno| failed(index, errno.into()))?;
            return Ok((pid, scaffold.listener));
        }
    }
    Err(failed(steps.len(), Errno::EINVAL.into()))
}

/// Start the program's process.
fn launch(
    program: &Program,
    step: usize,
    standard: StandardStreams,
    sockets: &[OwnedFd],
    line: &Line,
) -> Result<i32> {
    let slave = match standard.terminal {
        [false, false, false] => None,
        _ => {
            let (master, slave) = terminal::open_pair(c"/dev/ptmx")?;
            if !standard.keyboard {
                // The caller's terminal then stays as it is and ends lines; twice would show.
                terminal::pass_output(slave.as_fd())?;
            }
            if let Some(size) = standard.size {
                terminal::set_size(slave.as_fd(), size)?;
            }
            line.report(&Report::Terminal(master))?;
            Some(slave)
        }
    };
    line.report(&Report::Ready)?;
    let pid = process::spawn_and_wait_for_exec(|| {
        // The places below are the sockets' now.
        let Ok(line) = line.above(sockets.len()) else { return 127 };
        let error = match settle(standard, slave.as_ref(), sockets) {
            Ok(()) => program::start(program, sockets.len()),
            Err(errno) => errno.into(),
        };
        let failure = Failure { step: step as u16, errno: error.errno, detail: error.detail };
        let _ = line.report(&Report::Failed(failure));
        127
    })?;
    let null: OwnedFd = file::open_null()?;
    for number in 0..3 {
        // The program's end of a pipe must not stay open here after the program closed it.
        process::set_standard(number, null.as_fd())?;
    }
    Ok(pid)
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

/// Reap, forward, and name denied calls until nothing is left or the supervisor is gone.
fn attend(program: i32, listener: Option<Listener>, line: &Line) -> Result<()> {
    let signals = Signals::block(&[number::CHLD])?;
    let mut attendant = Attendant { program, line, listener, ended: false };
    while attendant.reap()? {
        let mut interests = vec![
            Interest { fd: line.as_fd(), write: false },
            Interest { fd: signals.as_fd(), write: false },
        ];
        interests.extend(
            attendant
                .listener
                .as_ref()
                .map(|listener| Interest { fd: listener.as_fd(), write: false }),
        );
        let ready = wait(&interests, None)?;
        if ready[0] && !attendant.obey()? {
            return Ok(());
        }
        if ready.get(2).is_some_and(|ready| *ready) {
            attendant.name_denied()?;
        }
        while ready[1] && signals.next()?.is_some() {}
    }
    Ok(())
}

/// Process 1 at work.
struct Attendant<'a> {
    program: i32,
    line: &'a Line,
    listener: Option<Listener>,
    ended: bool,
}

impl Attendant<'_> {
    /// Take the status of everything that ended; `false` when nothing is left.
    fn reap(&mut self) -> Result<bool> {
        loop {
            match process::reap()? {
                Reaped::Running => return Ok(true),
                Reaped::Empty => return Ok(false),
                Reaped::Child(pid, exit) if pid == self.program && !self.ended => self.end(exit)?,
                Reaped::Child(..) => {}
            }
        }
    }

    /// The program has ended: say so, and ask what it left behind to end as well.
    fn end(&mut self, exit: Exit) -> Result<()> {
        self.ended = true;
        self.line.report(&Report::Ended(exit))?;
        match process::kill(-1, number::TERM) {
            Err(Errno::ESRCH) => Ok(()),
            result => result,
        }
    }

    /// Do what the supervisor says; `false` when it is gone.
    fn obey(&self) -> Result<bool> {
        let Some(Order::Signal(signal)) = self.line.next_order()? else { return Ok(false) };
        let target = if self.ended { -1 } else { self.program };
        match process::kill(target, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(true),
            Err(errno) => Err(errno),
        }
    }

    /// A thread made a refused call: tell the supervisor which, end the program as the kernel would
    /// have, and answer in case it lives on (it may ignore the signal).
    fn name_denied(&mut self) -> Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let denied = match listener.receive() {
            Ok(Some(denied)) => denied,
            Ok(None) => return Ok(()),
            // Nobody is left whom the filter could refuse anything.
            Err(_) => {
                self.listener = None;
                return Ok(());
            }
        };
        self.line.report(&Report::Denied { call: denied.number })?;
        if listener.is_waiting(&denied) {
            let _ = process::kill(denied.thread, number::SYS);
            let _ = listener.refuse(&denied);
        }
        Ok(())
    }
}

impl From<Errno> for program::StartError {
    fn from(errno: Errno) -> Self {
        program::StartError { errno: Some(errno), detail: String::new() }
    }
}
