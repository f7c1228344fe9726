//! Promise: an instance's cgroup tells what its processes have and use, with controllers and
//! without, and is gone when it is dropped.
//!
//! As root, below the cgroup of the tests.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there
#![allow(clippy::disallowed_methods)] // a test may start a program

use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use agent::cgroup::{Cgroup, OutOfMemory, Usage, folder};
use agent::lease::holder::Process;

fn cgroup(name: &str) -> Cgroup {
    let (own, _) = folder::own().expect("a cgroup v2 mount is needed");
    let process = Process::of(std::process::id() as i32).unwrap();
    Cgroup::make(&own, name, process).expect("root is needed to make a cgroup")
}

/// A shell in a cgroup, from before it does anything.
fn inside(cgroup: &Cgroup, script: &str) -> Child {
    let enter = format!("echo $$ > {}/cgroup.procs; {script}", cgroup.path().display());
    Command::new("sh").args(["-c", &enter]).spawn().unwrap()
}

fn eventually(what: &str, cgroup: &Cgroup, is_so: impl Fn(&Usage) -> bool) -> Usage {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let usage = Usage::read(cgroup.as_fd());
        if is_so(&usage) {
            return usage;
        }
        assert!(Instant::now() < end, "{what}: {usage:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn numbers_are_those_of_the_processes_inside() {
    let cgroup = cgroup("usage");
    let empty = Usage::read(cgroup.as_fd());
    assert_eq!((empty.processes, empty.cpu_usec), (Some(0), Some(0)), "{empty:?}");
    let mut child = inside(&cgroup, "sleep 60 & while :; do :; done");
    let busy = eventually("two are in it and one of them works", &cgroup, |usage| {
        usage.processes == Some(2) && usage.cpu_usec > Some(50_000)
    });
    // Whatever counts it, two processes have some pages, and no more than a shell has.
    assert!((100_000..100_000_000).contains(&busy.memory.unwrap()), "{busy:?}");
    assert_eq!(busy.exact, cgroup.path().join("memory.current").exists());
    assert_eq!(OutOfMemory::look(cgroup.as_fd()), None);
    let folder = cgroup.path().to_owned();
    std::fs::write(folder.join("cgroup.kill"), "1").unwrap();
    child.wait().unwrap();
    eventually("nobody is left", &cgroup, |usage| usage.processes == Some(0));
    drop(cgroup);
    assert!(!folder.exists());
}
