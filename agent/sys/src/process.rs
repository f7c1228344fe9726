//! Processes: clone3(2), exec, waiting, process attributes.
//!
//! Invariant: [`spawn`] runs only in a single-threaded process, so the child may go on with
//! ordinary Rust code (no lock can be held by a thread that no longer exists).

mod inherit;

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus};
use nix::unistd::Pid;

use crate::raw::check;
use crate::{Errno, Result};

pub use inherit::{
    FIRST_PASSED, close_all_on_exec, keep_only, lift, pass_on, set_standard, take_passed,
};

/// Namespaces a child gets new ones of (namespaces(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// CLONE_NEWUSER, user_namespaces(7).
    pub user: bool,
    /// CLONE_NEWNS, mount_namespaces(7).
    pub mount: bool,
    /// CLONE_NEWPID, pid_namespaces(7).
    pub pid: bool,
    /// CLONE_NEWIPC, ipc_namespaces(7).
    pub ipc: bool,
    /// CLONE_NEWUTS, uts_namespaces(7).
    pub uts: bool,
    /// CLONE_NEWCGROUP, cgroup_namespaces(7).
    pub cgroup: bool,
    /// CLONE_NEWNET, network_namespaces(7).
    pub net: bool,
}

impl Namespaces {
    fn flags(self) -> u64 {
        let pairs = [
            (self.user, libc::CLONE_NEWUSER),
            (self.mount, libc::CLONE_NEWNS),
            (self.pid, libc::CLONE_NEWPID),
            (self.ipc, libc::CLONE_NEWIPC),
            (self.uts, libc::CLONE_NEWUTS),
            (self.cgroup, libc::CLONE_NEWCGROUP),
            (self.net, libc::CLONE_NEWNET),
        ];
        pairs.iter().filter(|(on, _)| *on).fold(0, |flags, (_, flag)| flags | *flag as u64)
    }
}

/// A process, mostly one this one started, held by its pidfd so that its number can't be reused under us.
#[derive(Debug)]
pub struct Child {
    /// Number in the caller's pid namespace.
    pub pid: i32,
    pidfd: OwnedFd,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By exit(2) with this code.
    Code(u8),
    /// By this signal; the flag tells whether a core was dumped.
    Signal(i32, bool),
}

/// Start a child in new namespaces, born in this cgroup v2 folder if one is given
/// (CLONE_INTO_CGROUP, kernel 5.7), that runs `body` and exits with its result.
///
/// # Errors
/// `EDEADLK` when this process has more than one thread; else what clone3(2) says (`ENOSPC`: too
/// many namespaces, `EPERM`: not allowed, `EUSERS`: nested too deep, `ENOSYS`: kernel before 5.3).
pub fn spawn(
    namespaces: Namespaces,
    cgroup: Option<BorrowedFd<'_>>,
    body: impl FnOnce() -> u8,
) -> Result<Child> {
    if !single_threaded() {
        return Err(Errno::EDEADLK);
    }
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: namespaces.flags() | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid clone_args of the size given; no stack or CLONE_VM is asked for, so
    // the child runs on its own copy of this stack as after fork(2); this process has one thread.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) })?;
    if pid == 0 {
        let code = body();
        // SAFETY: _exit(2) only ends the process; the parent's atexit handlers must not run here.
        unsafe { libc::_exit(i32::from(code)) }
    }
    // SAFETY: clone3 with CLONE_PIDFD stored a new descriptor, close-on-exec, that we own.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid: pid as i32, pidfd })
}

/// Bytes of stack for a child that shares this process's memory.
const BORROWED_STACK: usize = 256 * 1024;

/// Start a child that runs `body` in this process's own memory while this process sleeps, until
/// `body` has executed another program or ended (CLONE_VM | CLONE_VFORK: what posix_spawn(3) does).
/// The answer is its number. Nothing is copied, so it costs a fraction of fork(2), and it uses
/// clone(2), which a seccomp filter that refuses clone3(2) lets through.
///
/// # Errors
/// `EDEADLK` when this process has more than one thread; else what clone(2) says.
pub fn spawn_and_wait_for_exec(body: impl FnOnce() -> u8) -> Result<i32> {
    if !single_threaded() {
        return Err(Errno::EDEADLK);
    }
    // Taken out by the child, which shares this memory; so it is dropped by neither or by one.
    let mut body = Some(body);
    let mut stack = vec![0_u128; BORROWED_STACK / size_of::<u128>()];
    // SAFETY: one past the end of the vector, whose elements have the alignment a stack needs.
    let top = unsafe { stack.as_mut_ptr().add(stack.len()) };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let argument = (&raw mut body).cast();
    // SAFETY: CLONE_VFORK suspends this thread, the only one, until the child has left this memory,
    // so the child's use of it is that of a function call: `body` and `stack` outlive it, and
    // `run_body` gets the pointer to the very type it expects.
    let pid = unsafe { libc::clone(run_body_of(&body), top.cast(), flags, argument) };
    check(libc::c_long::from(pid)).map(|pid| pid as i32)
}

type Entry = extern "C" fn(*mut libc::c_void) -> libc::c_int;

/// [`run_body`] for the type of a closure, which has no name.
fn run_body_of<F: FnOnce() -> u8>(_: &Option<F>) -> Entry {
    run_body::<F>
}

extern "C" fn run_body<F: FnOnce() -> u8>(body: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the one caller passes a pointer to an `Option<F>` that it does not touch meanwhile.
    let body = unsafe { (*body.cast::<Option<F>>()).take() };
    let code = body.map_or(0, |body| body());
    // SAFETY: _exit(2) only ends the child; exit handlers belong to the process it shares memory
    // with.
    unsafe { libc::_exit(libc::c_int::from(code)) }
}

/// Start a child that runs `body` in a copy of this process and exits with its result (fork(2), by
/// clone(2), as in [`spawn_and_wait_for_exec`]). The answer is its number. This process goes on at
/// once and shares nothing with it: whoever stops or kills the child at whatever instant, no memory
/// here is left half changed.
///
/// # Errors
/// `EDEADLK` when this process has more than one thread; `EAGAIN` at a limit of processes; else
/// what fork(2) says.
pub fn fork(body: impl FnOnce() -> u8) -> Result<i32> {
    if !single_threaded() {
        return Err(Errno::EDEADLK);
    }
    // SAFETY: this process has one thread, so the copy has no lock that nobody would release.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(child.as_raw()),
        nix::unistd::ForkResult::Child => {
            let code = body();
            // SAFETY: _exit(2) only ends the child; exit handlers are the parent's.
            unsafe { libc::_exit(i32::from(code)) }
        }
    }
}

/// Of linux/sched.h.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// struct clone_args of linux/sched.h as of kernel 5.7 (88 bytes).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Whether this process has one thread: `/proc/self/task` then has three links (`.`, `..`, it).
/// Where /proc is missing the answer is no.
fn single_threaded() -> bool {
    nix::sys::stat::stat("/proc/self/task").is_ok_and(|stat| stat.st_nlink == 3)
}

impl Child {
    /// The process with this number: a child that was not waited for yet ([`start`]), or one that
    /// only gets signals.
    ///
    /// # Errors
    /// What pidfd_open(2) says.
    pub fn of(pid: i32) -> Result<Child> {
        Ok(Child { pid, pidfd: hold(pid)? })
    }

    /// The pidfd: readable (poll) when the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.pidfd.as_fd()
    }

    /// The pidfd, for whoever only waits for the end.
    pub fn into_pidfd(self) -> OwnedFd {
        self.pidfd
    }

    /// Send a signal; `ESRCH` when the process has ended and been waited for.
    ///
    /// # Errors
    /// What pidfd_send_signal(2) says.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let null = std::ptr::null::<libc::siginfo_t>();
        let fd = self.pidfd.as_raw_fd();
        // SAFETY: a valid pidfd, a null siginfo (the kernel fills in kill(2)'s) and no flags.
        check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, null, 0) })?;
        Ok(())
    }

    /// Wait for the end of the process and take its status.
    ///
    /// # Errors
    /// What waitid(2) says; `ECHILD` when it was waited for already.
    pub fn wait(&self) -> Result<Exit> {
        loop {
            match nix::sys::wait::waitid(Id::PIDFd(self.pidfd()), WaitPidFlag::WEXITED) {
                Err(Errno::EINTR) => {}
                status => return status.map(|status| exit_of(status).unwrap_or(Exit::Code(255))),
            }
        }
    }
}

fn exit_of(status: WaitStatus) -> Option<Exit> {
    match status {
        WaitStatus::Exited(_, code) => Some(Exit::Code(code as u8)),
        WaitStatus::Signaled(_, signal, core) => Some(Exit::Signal(signal as i32, core)),
        _ => None,
    }
}

/// What [`reap`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// A child ended.
    Child(i32, Exit),
    /// Children are left, none has ended.
    Running,
    /// No child is left.
    Empty,
}

/// Take the status of any child that has ended, without waiting.
///
/// # Errors
/// What waitpid(2) says.
pub fn reap() -> Result<Reaped> {
    let any = Pid::from_raw(-1);
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid int for the call to fill. nix's waitpid can't be used here:
        // it fails on real-time signals that it has no name for.
        let pid = unsafe { libc::waitpid(any.as_raw(), &raw mut status, libc::WNOHANG) };
        match pid {
            0 => return Ok(Reaped::Running),
            pid if pid > 0 => {
                let exit = if libc::WIFEXITED(status) {
                    Exit::Code(libc::WEXITSTATUS(status) as u8)
                } else {
                    Exit::Signal(libc::WTERMSIG(status), libc::WCOREDUMP(status))
                };
                return Ok(Reaped::Child(pid, exit));
            }
            _ => match Errno::last() {
                Errno::EINTR => {}
                Errno::ECHILD => return Ok(Reaped::Empty),
                errno => return Err(errno),
            },
        }
    }
}

/// Send a signal to a process of this pid namespace; -1 means every one but this and pid 1.
///
/// # Errors
/// What kill(2) says.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: kill(2) takes two integers and touches no memory of ours.
    check(libc::c_long::from(unsafe { libc::kill(pid, signal) }))?;
    Ok(())
}

/// Have the kernel send this signal when the parent ends (PR_SET_PDEATHSIG). Cleared by a change
/// of credentials, so it is set again after one.
///
/// # Errors
/// What prctl(2) says.
pub fn die_with_parent() -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
}

/// Forbid other processes of the same user to trace this one or to read its memory, descriptors
/// and executable through /proc (PR_SET_DUMPABLE 0).
///
/// # Errors
/// What prctl(2) says.
pub fn forbid_tracing() -> Result<()> {
    nix::sys::prctl::set_dumpable(false)
}

/// Never gain privileges through exec again (PR_SET_NO_NEW_PRIVS), inherited and irrevocable.
///
/// # Errors
/// What prctl(2) says.
pub fn no_new_privileges() -> Result<()> {
    nix::sys::prctl::set_no_new_privs()
}

/// Set the name shown by ps(1), at most 15 bytes.
///
/// # Errors
/// What prctl(2) says.
pub fn set_name(name: &CStr) -> Result<()> {
    nix::sys::prctl::set_name(name)
}

/// Move this process into a new, empty network namespace (network_namespaces(7)).
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN.
pub fn leave_network() -> Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
}

/// Let this process see its present cgroup as the root of all (cgroup_namespaces(7)).
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN.
pub fn own_cgroup_namespace() -> Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWCGROUP)
}

/// Become the leader of a new session without a terminal.
///
/// # Errors
/// What setsid(2) says.
pub fn new_session() -> Result<()> {
    nix::unistd::setsid().map(|_| ())
}

/// Start a program in a session of its own, with these standard streams and, from 3 up, these
/// descriptors, and nothing else of this process: no other descriptor, no blocked or ignored
/// signal. The answer is its number; whoever started it has to wait for it ([`reap`]).
///
/// # Errors
/// `EDEADLK` when this process has more than one thread; what execve(2) says when the program can't
/// be started, which it is not then.
pub fn start(
    path: &CStr,
    arguments: &[CString],
    environment: &[CString],
    streams: [BorrowedFd<'_>; 3],
    descriptors: &[BorrowedFd<'_>],
) -> Result<i32> {
    let mut failed = None;
    let pid = spawn_and_wait_for_exec(|| {
        let begin = || -> Result<Infallible> {
            new_session()?;
            for (number, fd) in (0..).zip(streams) {
                set_standard(number, fd)?;
            }
            close_all_on_exec()?;
            pass_on(descriptors)?;
            crate::signal::reset()?;
            exec(path, arguments, environment)
        };
        // The child's memory is ours: what it writes here is read below.
        failed = begin().err();
        127
    })?;
    match failed {
        None => Ok(pid),
        Some(errno) => {
            // It has ended, or is about to; nobody else waits for this number.
            let _ = nix::sys::wait::waitpid(Pid::from_raw(pid), None);
            Err(errno)
        }
    }
}

/// Replace this process's program. Returns only on failure.
///
/// # Errors
/// What execve(2) says.
pub fn exec(path: &CStr, arguments: &[CString], environment: &[CString]) -> Result<Infallible> {
    nix::unistd::execve(path, arguments, environment)
}

/// Hold a running process by its pidfd, which is readable (poll) when it has ended.
///
/// # Errors
/// `ESRCH` when there is none with this number; else what pidfd_open(2) says.
pub fn hold(pid: i32) -> Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two integers and returns a new descriptor, close-on-exec.
    unsafe { crate::raw::descriptor(libc::syscall(libc::SYS_pidfd_open, pid, 0)) }
}

/// This process's number in its own pid namespace.
pub fn pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

/// The kernel's release, `6.1.0-18-amd64`; empty where uname(2) fails.
pub fn kernel_release() -> String {
    nix::sys::utsname::uname()
        .map(|names| names.release().to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Bytes of a page of memory, in which the kernel counts (sysconf(3)).
pub fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}
