//! Every bound on the size of an input, in one place.
//!
//! Invariant: each bound is checked before work that grows with the value it bounds, so a hostile
//! manifest costs no more than an ordinary one of the largest permitted size.

/// Length of a manifest, a drop-in or a host policy.
pub const FILE_BYTES: usize = 1 << 20;

/// Body of a request to hostd: a manifest as JSON, in which a character may take six bytes, and what
/// is put on top of it.
pub const REQUEST_BYTES: usize = 8 << 20;

/// Length of one string.
pub const STRING_BYTES: usize = 64 << 10;

/// Entries of one table or list: grants, ports, variables, services.
pub const ENTRIES: usize = 1024;

/// Tables and lists inside each other; the format itself needs seven.
pub const DEPTH: usize = 16;

/// Errors shown of one document.
pub const ERRORS_SHOWN: usize = 50;

/// Characters of a source line that are shown.
pub const LINE_SHOWN: usize = 96;

/// Characters of a key that an error shows.
pub const KEY_SHOWN: usize = 200;

/// Characters of a value repeated in a message.
pub const VALUE_SHOWN: usize = 48;

/// Instances of a service.
pub const COUNT: u32 = 1024;

/// Processes of an instance: the kernel's `PID_MAX_LIMIT` on 64-bit machines.
pub const PROCESSES: u32 = 1 << 22;

/// Descriptors of a process: the kernel's default `fs.nr_open`.
pub const FILES: u32 = 1 << 20;

/// Least memory a limit may say: below it no program gets as far as an error message.
pub const MEMORY_LEAST: u64 = 1 << 20;

/// Percent of one core: a thousand cores.
pub const CPU_PERCENT: u32 = 100_000;

/// Weight of an instance's disk time: the kernel's `CGROUP_WEIGHT_MAX`.
pub const IO_WEIGHT: u32 = 10_000;

/// Earlier files of a file sink.
pub const COPIES: u32 = 1000;

/// Longest time for which a client stays with its instance.
pub const AFFINITY_SECONDS: u32 = 86_400;

/// Health checks in a row before they count.
pub const CHECKS: u32 = 100;

/// Longest duration, in days.
pub const SPAN_DAYS: u64 = 3660;

/// A line between hostd and a policy plugin, in bytes, without its newline.
pub const PLUGIN_LINE_BYTES: usize = 256 * 1024;

/// Slots that a policy plugin's answer may have.
pub const PLUGIN_SLOTS: usize = 128;
