//! Leases under the worst interleaving: processes that take, give back and are killed, between any
//! two of their system calls.
//!
//! Each actor is this test, started again. What it holds it also locks with flock(2), which the
//! kernel releases with the process: a second holder of a key would find that lock taken.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests start programs, read variables and clocks

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent::lease::holder::{Holder, Process, boot_id};
use agent::lease::key::Key;
use agent::lease::ledger::{Lease, Ledger};
use agent::lease::{self, LeaseError};
use agent::plan::Directories;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What an actor writes when it sees a promise broken.
const BROKEN: &str = "broken";
/// Names the actor's place; without it an actor has nothing to do.
const PLACE: &str = "LEASE_ACTOR";
/// Exclusive keys that actors fight for.
const NAMES: [&str; 3] = ["lock:a", "name:b", "data:/c"];

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn place(name: &str) -> PathBuf {
    let place = std::env::temp_dir().join(format!("leases-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&place);
    fs::create_dir(&place).unwrap();
    place
}

fn directories(place: &Path) -> Directories {
    let [state, run, config] = ["state", "run", "config"].map(|name| place.join(name));
    Directories { state, run, config }
}

fn holder() -> Holder {
    let process = Process::of(std::process::id() as i32).unwrap();
    Holder { app: "actor".into(), service: "main".into(), instance: 1, process }
}

fn keys(choice: u64) -> Vec<Key> {
    let chosen = (0..NAMES.len()).filter(|index| choice & (1 << index) != 0);
    chosen.map(|index| NAMES[index].parse().unwrap()).collect()
}

/// The witness: taken, and its fence smaller than this one, or there were two holders.
fn witness(place: &Path, lease: &Lease) -> Flock<File> {
    let name = lease.key.to_string().replace('/', "_");
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(place.join(name)).unwrap();
    let Ok(mut file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
        panic!("two holders of {}", lease.key);
    };
    let mut last = String::new();
    file.read_to_string(&mut last).unwrap();
    // A killed actor may have got as far as emptying the file.
    let last: i64 = last.trim().parse().unwrap_or(0);
    assert!(lease.fence > last, "fence {} after {last}", lease.fence);
    file.rewind().unwrap();
    writeln!(file, "{}", lease.fence).unwrap();
    file
}

/// Take and give back for ever; killed by the test.
#[test]
fn actor() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    // Written before the panic unwinds: a kill in the middle of that must not hide it.
    let broken = place.join(BROKEN);
    std::panic::set_hook(Box::new(move |why| fs::write(&broken, why.to_string()).unwrap()));
    let mut random = u64::from(std::process::id()) | 1;
    loop {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut ledger = lease::open(&directories(&place), now).unwrap();
        match ledger.acquire_all(&keys(random % 7 + 1), &holder()) {
            Err(LeaseError::Refused(_)) => {}
            Err(error) => panic!("{error}"),
            Ok(leases) => {
                let witnesses: Vec<_> = leases.iter().map(|lease| witness(&place, lease)).collect();
                let rows = ledger.rows().unwrap();
                for lease in &leases {
                    assert!(rows.iter().any(|row| row.fence == lease.fence), "a lease was lost");
                }
                drop(witnesses);
                ledger.release(&leases).unwrap();
            }
        }
    }
}

fn start(place: &Path, test: &str) -> Child {
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(own);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(PLACE, place);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

/// Everything can be had by the living, and nothing but that is left.
fn all_can_be_had(ledger: &mut Ledger) -> Vec<Lease> {
    let leases = ledger.acquire_all(&keys(7), &holder()).unwrap();
    assert_eq!(ledger.rows().unwrap().len(), NAMES.len());
    ledger.release(&leases).unwrap();
    assert_eq!(ledger.rows().unwrap(), []);
    leases
}

#[test]
fn actors_killed_at_any_time_never_share_and_leave_nothing() {
    let place = place("actors");
    let mut actors: Vec<Child> = (0..4).map(|_| start(&place, "actor")).collect();
    for round in 0..200_u64 {
        std::thread::sleep(Duration::from_micros(round * 7919 % 20_000));
        let index = round as usize % actors.len();
        let mut killed = std::mem::replace(&mut actors[index], start(&place, "actor"));
        killed.kill().unwrap();
        // Any other end is a promise that an actor saw broken.
        assert_eq!(killed.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
    }
    for mut actor in actors {
        actor.kill().unwrap();
        assert_eq!(actor.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
    }
    let broken = fs::read_to_string(place.join(BROKEN)).unwrap_or_default();
    assert_eq!(broken, "", "what an actor saw");
    all_can_be_had(&mut lease::open(&directories(&place), now).unwrap());
    fs::remove_dir_all(place).unwrap();
}

/// One take and one return, begun when the test lets go.
#[test]
fn stepped() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    // The test's body runs in a thread of its own; that thread is the one to follow.
    fs::write(place.join("thread"), format!("{}\n", nix::unistd::gettid())).unwrap();
    std::io::stdin().read_exact(&mut [0]).unwrap();
    let mut ledger = lease::open(&directories(&place), now).unwrap();
    let leases = ledger.acquire_all(&keys(7), &holder()).unwrap();
    ledger.release(&leases).unwrap();
    kill(Pid::this(), Signal::SIGKILL).unwrap();
}

/// Let an actor make `count` stops before or after a system call, then kill it. Whether it got that
/// far.
fn kill_after(place: &Path, count: usize) -> bool {
    let _ = fs::remove_file(place.join("thread"));
    let mut child = start(place, "stepped");
    let thread = loop {
        let text = fs::read_to_string(place.join("thread")).unwrap_or_default();
        if let Some(number) = text.strip_suffix('\n') {
            break Pid::from_raw(number.parse().unwrap());
        }
        assert_eq!(child.try_wait().unwrap(), None, "the actor ended too soon");
        std::thread::sleep(Duration::from_micros(200));
    };
    ptrace::seize(thread, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
    ptrace::interrupt(thread).unwrap();
    child.stdin.take().unwrap().write_all(b"x").unwrap();
    let mut stops = 0;
    let reached = loop {
        match waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => break false,
            WaitStatus::PtraceSyscall(_) => stops += 1,
            _ => {}
        }
        if stops == count {
            break true;
        }
        if ptrace::syscall(thread, None).is_err() {
            break false;
        }
    };
    let _ = child.kill();
    while reached
        && !matches!(
            waitpid(thread, Some(WaitPidFlag::__WALL)),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_)
        )
    {}
    let _ = child.wait();
    reached
}

#[test]
fn a_kill_between_any_two_system_calls_loses_nothing() {
    let place = place("stepped");
    let mut last = 0;
    let mut count = 1;
    while kill_after(&place, count) {
        let mut ledger = lease::open(&directories(&place), now).unwrap();
        for lease in all_can_be_had(&mut ledger) {
            assert!(lease.fence > last, "fence {} after {last}, stop {count}", lease.fence);
            last = lease.fence;
        }
        // A call is two stops: killed behind one or before the next is the same to everybody else.
        count += 2;
    }
    assert!(count > 100, "only {count} stops: the actor was not followed");
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn another_boot_voids_every_lease_and_fences_still_rise() {
    let place = place("boot");
    let directories = directories(&place);
    let boot = boot_id().unwrap();
    let held = Ledger::open(&directories, &boot, now).unwrap().acquire_all(&keys(7), &holder());
    let before = held.unwrap();
    assert!(Ledger::look(&directories, "another", now).unwrap().is_none());
    let mut ledger = Ledger::open(&directories, "another", now).unwrap();
    assert_eq!(ledger.rows().unwrap(), []);
    let after = ledger.acquire_all(&keys(7), &holder()).unwrap();
    assert!(after[0].fence > before[2].fence, "{after:?} after {before:?}");
    let causes = ledger.history(&before[0].key).unwrap().into_iter().map(|entry| entry.cause);
    assert!(causes.into_iter().any(|cause| cause == "boot"));
    fs::remove_dir_all(place).unwrap();
}
