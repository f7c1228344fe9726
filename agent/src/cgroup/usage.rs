//! What an instance has and has used, as its cgroup says.
//!
//! Invariant: reading changes nothing and never fails: a number that is not to be had, or not
//! understood, is none. Every file is found below the folder that is held open, so that no other
//! cgroup of that name is read. Pure, but for [`Usage::read`] and [`OutOfMemory::look`].

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use host_sys::{file, process};

/// Live numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Whether [`Usage::memory`] is what the kernel counts. Else the pages of all processes were
    /// added, and what several of them have in common counts several times.
    pub exact: bool,
    /// The most there was of it, in bytes (kernel 5.19).
    pub memory_peak: Option<u64>,
    /// Bytes in swap.
    pub swap: Option<u64>,
    /// Processor time in microseconds.
    pub cpu_usec: Option<u64>,
    /// How long it was kept from running by its `limits.cpu`, in microseconds.
    pub throttled_usec: Option<u64>,
    /// Processes and threads, the sandbox's own process 1 included.
    pub processes: Option<u64>,
    /// Bytes read from devices.
    pub io_read: Option<u64>,
    /// Bytes written to them.
    pub io_written: Option<u64>,
    /// Time lost by waiting.
    pub pressure: Pressure,
    /// Processes that were ended because there was no memory.
    pub oom_kills: Option<u64>,
}

/// Pressure stall information: in how many percent of the last ten seconds at least one process
/// waited (PSI, Documentation/accounting/psi).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// For a processor.
    pub cpu: Option<f64>,
    /// For memory.
    pub memory: Option<f64>,
    /// For a device.
    pub io: Option<f64>,
}

impl Usage {
    /// Read them. `folder` is the cgroup's.
    pub fn read(folder: BorrowedFd<'_>) -> Usage {
        let text = |name: &str| read(folder, name);
        let count = |name: &str| text(name).as_deref().and_then(number);
        let memory = count("memory.current");
        let exact = memory.is_some();
        // Without its controller there is no file of memory's.
        let of_memory = |name: &str| count(name).filter(|_| exact);
        let cpu = text("cpu.stat").unwrap_or_default();
        let io = text("io.stat");
        let pressure = |name: &str| text(name).as_deref().and_then(some_avg10);
        Usage {
            memory: memory.or_else(|| estimate(folder)),
            exact,
            memory_peak: of_memory("memory.peak"),
            swap: of_memory("memory.swap.current"),
            cpu_usec: keyed(&cpu, "usage_usec"),
            throttled_usec: keyed(&cpu, "throttled_usec"),
            processes: count("pids.current").or_else(|| lines(&text("cgroup.threads")?)),
            io_read: io.as_deref().and_then(|io| of_devices(io, "rbytes")),
            io_written: io.as_deref().and_then(|io| of_devices(io, "wbytes")),
            pressure: Pressure {
                cpu: pressure("cpu.pressure"),
                memory: pressure("memory.pressure"),
                io: pressure("io.pressure"),
            },
            oom_kills: text("memory.events").as_deref().and_then(|text| keyed(text, "oom_kill")),
        }
    }
}

/// Why the kernel ended a process for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfMemory {
    /// The instance had all that its limit allows.
    Limit,
    /// The host had no more, or a cgroup around the instance's.
    Host,
}

impl OutOfMemory {
    /// Whether that happened in a cgroup since it was made; `None` also where memory is not
    /// counted.
    pub fn look(folder: BorrowedFd<'_>) -> Option<OutOfMemory> {
        told(&read(folder, "memory.events")?)
    }
}

/// Whose limit was reached says `oom`, which rises in that cgroup and those around it alone.
fn told(events: &str) -> Option<OutOfMemory> {
    keyed(events, "oom_kill").filter(|kills| *kills > 0)?;
    Some(match keyed(events, "oom") {
        Some(0) => OutOfMemory::Host,
        _ => OutOfMemory::Limit,
    })
}

/// The resident pages of every process, in bytes: what statm says, which costs the kernel nothing;
/// smaps would tell what is shared, and walk every page table under the process's own lock.
fn estimate(folder: BorrowedFd<'_>) -> Option<u64> {
    let procs = read(folder, "cgroup.procs")?;
    let page = process::page_size();
    let pids = procs.lines().filter_map(|line| line.parse::<u32>().ok());
    // One that has ended meanwhile has none.
    let pages = pids.filter_map(|pid| {
        resident(&fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default())
    });
    Some(pages.fold(0, |sum: u64, pages| sum.saturating_add(pages.saturating_mul(page))))
}

/// Resident pages in `/proc/PID/statm`.
fn resident(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

/// The one number of a file.
fn number(text: &str) -> Option<u64> {
    text.trim_end().parse().ok()
}

fn lines(text: &str) -> Option<u64> {
    u64::try_from(text.lines().count()).ok()
}

/// The number behind a word at the beginning of a line ("flat keyed").
fn keyed(text: &str, key: &str) -> Option<u64> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    number(pairs.find(|(found, _)| *found == key)?.1)
}

/// The sum over all devices of what is behind `KEY=` ("nested keyed").
fn of_devices(text: &str, key: &str) -> Option<u64> {
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    let found = pairs.filter(|(found, _)| *found == key);
    found
        .map(|(_, value)| number(value))
        .try_fold(0_u64, |sum, value| Some(sum.saturating_add(value?)))
}

/// Percent, as in `some avg10=1.53 avg60=0.30 avg300=0.07 total=2412`.
fn some_avg10(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let value = line.split(' ').find_map(|pair| pair.strip_prefix("avg10="))?;
    value.parse().ok().filter(|percent: &f64| percent.is_finite())
}

/// A whole file of the folder's.
fn read(folder: BorrowedFd<'_>, name: &str) -> Option<String> {
    let fd = file::read_in_root(folder, Path::new(name)).ok()?;
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match file::read(fd.as_fd(), &mut piece).ok()? {
            0 => return String::from_utf8(text).ok(),
            count => text.extend_from_slice(&piece[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_understood() {
        assert_eq!(number("536870912\n"), Some(536_870_912));
        let cpu = "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nthrottled_usec 20\n";
        assert_eq!(
            (keyed(cpu, "usage_usec"), keyed(cpu, "throttled_usec")),
            (Some(1500), Some(20))
        );
        let io = "254:0 rbytes=4096 wbytes=1 rios=1 wios=0\n8:0 rbytes=10 wbytes=2 dbytes=0\n";
        assert_eq!((of_devices(io, "rbytes"), of_devices(io, "wbytes")), (Some(4106), Some(3)));
        assert_eq!(of_devices("", "rbytes"), Some(0), "nothing was read yet");
        let psi =
            "some avg10=1.53 avg60=0.30 avg300=0.07 total=24\nfull avg10=9.00 avg60=0 total=0\n";
        assert_eq!(some_avg10(psi), Some(1.53));
        assert_eq!(resident("1200 34 20 1 0 300 0\n"), Some(34));
    }

    #[test]
    fn what_is_not_understood_is_none() {
        for text in ["", "max\n", "-1\n", "1 2\n", "18446744073709551616\n", "\u{0}"] {
            assert_eq!(number(text), None, "{text:?}");
        }
        for text in ["", "usage_usec", "usage_usec x", "usage_usecs 1", " usage_usec 1"] {
            assert_eq!(keyed(text, "usage_usec"), None, "{text:?}");
        }
        assert_eq!(of_devices("254:0 rbytes=x", "rbytes"), None);
        let most = u64::MAX.to_string();
        assert_eq!(of_devices(&format!("a rbytes={most}\nb rbytes=2"), "rbytes"), Some(u64::MAX));
        for text in ["", "some", "some avg60=1", "full avg10=1", "some avg10=x", "some avg10=inf"] {
            assert_eq!(some_avg10(text), None, "{text:?}");
        }
        assert_eq!(resident("1200"), None);
    }

    #[test]
    fn whose_memory_ran_out_is_told_apart() {
        let events = |oom: u64, kills: u64| {
            format!("low 0\nhigh 12\nmax 40\noom {oom}\noom_kill {kills}\noom_group_kill 1\n")
        };
        assert_eq!(told(&events(3, 2)), Some(OutOfMemory::Limit));
        assert_eq!(told(&events(0, 1)), Some(OutOfMemory::Host));
        assert_eq!(told(&events(7, 0)), None, "it was near, and found more");
        assert_eq!(told("oom 1\n"), None);
    }

    #[test]
    fn a_folder_of_no_cgroup_has_no_numbers() {
        let folder = fs::File::open(std::env::temp_dir()).unwrap();
        assert_eq!(Usage::read(folder.as_fd()), Usage::default());
        assert_eq!(OutOfMemory::look(folder.as_fd()), None);
    }
}
