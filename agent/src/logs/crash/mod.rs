//! Crashes: what is written down when a program is ended by a signal that says it went wrong.
//!
//! Owns the record of a crash: which signals are one, what it says, and by what two crashes are the
//! same. Invariant: pure but for [`search`]; one record a crash, bounded, whatever the program left
//! behind. Never starts or ends anything, and never changes what the host does with cores.
//!
//! | module | owns |
//! | --- | --- |
//! | [`core`] | the core file: registers, frames, names |
//! | [`pattern`] | where the kernel leaves it |
//! | [`search`] | finding it, and the files that the program was made of |

pub mod core;
pub mod pattern;
pub mod search;

use std::time::Duration;

use host_sys::process::Exit;
use host_sys::signal;
use manifest_spec::log::{Severity, attribute};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use self::core::Frame;
use super::wire::AgentRecord;
use crate::plan::Plan;
use crate::sandbox::seccomp;
use crate::supervise::Outcome;

/// Most of the last lines that a record keeps, and the longest of them in bytes.
const LINES: usize = 20;
const LINE: usize = 512;

/// Longest stack trace, in bytes: a record goes to its log as one message.
const STACK: usize = 8 * 1024;

/// Frames that tell one crash from another: further out they are everybody's.
const TELLING: usize = 5;

/// A crash as it is known when the program has ended.
#[derive(Debug, Clone, Default)]
pub struct Crashed<'a> {
    /// The app.
    pub app: &'a str,
    /// The service.
    pub service: &'a str,
    /// The signal that ended it.
    pub signal: i32,
    /// Whether the kernel wrote a core.
    pub dumped: bool,
    /// The system call it was ended for, by name.
    pub denied: Option<&'a str>,
    /// What the core says.
    pub core: Option<core::Crash>,
    /// Where the core is, or what to do to get one.
    pub advice: Option<String>,
    /// The last lines that it wrote.
    pub last_lines: &'a [String],
}

/// The record of a run of this plan that ended so, if it crashed or had all its memory. `started` is
/// when its program was, since 1970; `last_lines` finds out what it wrote last.
pub fn of(
    plan: &Plan,
    outcome: &Outcome,
    started: Duration,
    last_lines: &dyn Fn() -> Vec<String>,
) -> Option<AgentRecord> {
    let Exit::Signal(signal, dumped) = outcome.exit else { return None };
    let starved = signal == signal::number::KILL && outcome.out_of_memory.is_some();
    if !is_crash(signal) && (!starved || outcome.killed) {
        return None;
    }
    let call = outcome.denied.and_then(|call| u32::try_from(call).ok()).and_then(seccomp::name_of);
    let (core, advice) = match dumped {
        true => search::look(plan, signal, started),
        false => (None, None),
    };
    Some(record(&Crashed {
        app: &plan.app,
        service: &plan.service,
        signal,
        dumped,
        denied: call,
        core,
        advice,
        last_lines: &last_lines(),
    }))
}

/// Whether a program that is ended by this signal has crashed: those that say that the program itself
/// went wrong (signal(7): the action is "Core"), but for those that people send (SIGQUIT) and limits
/// (SIGXCPU, SIGXFSZ).
pub fn is_crash(number: i32) -> bool {
    use signal::number::{ABRT, BUS, FPE, ILL, SEGV, SYS, TRAP};
    matches!(number, ABRT | BUS | FPE | ILL | SEGV | SYS | TRAP)
}

/// What is written down of a crash.
pub fn record(crash: &Crashed<'_>) -> AgentRecord {
    let name = signal::name(crash.signal);
    let message = message(crash);
    let frames = crash.core.as_ref().map_or(&[][..], |core| &core.frames);
    let mut attributes = Map::new();
    let mut put = |key: &str, value: Value| drop(attributes.insert(key.to_owned(), value));
    put(attribute::STREAM, "agent".into());
    put(attribute::EXCEPTION_TYPE, name.as_str().into());
    put(attribute::EXCEPTION_MESSAGE, message.as_str().into());
    if !frames.is_empty() {
        put(attribute::EXCEPTION_STACKTRACE, stack_trace(frames).into());
    }
    put(attribute::EXCEPTION_FINGERPRINT, fingerprint(crash, &name, frames).into());
    put(attribute::EXCEPTION_LANGUAGE, "signal".into());
    if !crash.last_lines.is_empty() {
        put(attribute::CRASH_LAST_LINES, last(crash.last_lines).into());
    }
    if let Some(advice) = &crash.advice {
        put(attribute::CRASH_CORE, advice.as_str().into());
    }
    AgentRecord {
        severity: Severity::Fatal,
        body: format!("ended by {name}: {message}"),
        attributes,
    }
}

fn message(crash: &Crashed<'_>) -> String {
    use signal::number::{ABRT, BUS, FPE, ILL, KILL, SEGV, SYS};
    let what = match (crash.signal, crash.denied) {
        (SYS, Some(call)) => format!("it called {call}, which its filter refuses"),
        (SYS, None) => "it made a system call that its filter refuses".to_owned(),
        (SEGV, _) => "it used memory that it does not have".to_owned(),
        (BUS, _) => "it used memory that is not there".to_owned(),
        (ABRT, _) => "it gave up (abort)".to_owned(),
        (ILL, _) => "it came to what is no instruction".to_owned(),
        (FPE, _) => "it calculated what has no result".to_owned(),
        (KILL, _) => "the kernel ended it for want of memory".to_owned(),
        _ => "it stopped at a trap".to_owned(),
    };
    let address = crash.core.as_ref().and_then(|core| core.address);
    let address = address.map_or(String::new(), |address| format!(", at address {address:#x}"));
    let dumped = if crash.dumped { "; core dumped" } else { "" };
    format!("{what}{address}{dumped}")
}

/// The frames as people read them, a line each.
pub fn stack_trace(frames: &[Frame]) -> String {
    let lines = frames.iter().enumerate().map(|(number, frame)| {
        let module = frame.module.as_ref();
        let module = module.map(|one| format!("{}+{:#x}", one.path, one.offset));
        match (&frame.symbol, module) {
            (Some((name, within)), Some(module)) => {
                format!("#{number} {name}+{within:#x} ({module})")
            }
            (_, Some(module)) => format!("#{number} {module}"),
            (_, None) => format!("#{number} {:#x}", frame.address),
        }
    });
    let mut text = String::new();
    for line in lines {
        if text.len() + line.len() > STACK {
            text.push('…');
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// Equal for crashes of one service by one signal in the same place: 16 hexadecimal digits. Addresses
/// differ from start to start and count for nothing.
fn fingerprint(crash: &Crashed<'_>, name: &str, frames: &[Frame]) -> String {
    // A copy with a port offset is the same program.
    let app = crash.app.split('+').next().unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [app, crash.service, name, crash.denied.unwrap_or_default()] {
        hash.update(part);
        hash.update([0]);
    }
    let told = frames.iter().filter_map(place).take(TELLING);
    for place in told {
        hash.update(place);
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What of a frame stays the same: its function, else its place in its module; without either,
/// nothing.
fn place(frame: &Frame) -> Option<String> {
    let module = frame.module.as_ref()?;
    let file = module.path.rsplit('/').next().unwrap_or_default();
    Some(match &frame.symbol {
        Some((name, _)) => format!("{file} {}", without_hash(name)),
        None => format!("{file} {:x}", module.offset),
    })
}

/// A Rust name without the hash that each build gives it (its legacy mangling: `17h`, 16 digits, `E`).
fn without_hash(name: &str) -> &str {
    let end = name.len().wrapping_sub(20);
    match name.get(end..) {
        Some(tail) if name.starts_with("_ZN") && tail.starts_with("17h") && tail.ends_with('E') => {
            &name[..end]
        }
        _ => name,
    }
}

fn last(lines: &[String]) -> Vec<String> {
    let cut = |line: &String| {
        let end = (0..=line.len().min(LINE)).rev().find(|at| line.is_char_boundary(*at));
        line[..end.unwrap_or(0)].to_owned()
    };
    lines[lines.len().saturating_sub(LINES)..].iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::core::Module;
    use super::*;

    fn frame(path: &str, offset: u64, symbol: Option<&str>) -> Frame {
        let module = Some(Module { path: path.into(), offset });
        let symbol = symbol.map(|name| (name.to_owned(), 0x1f));
        Frame { address: 0x5555_0000 + offset, module, symbol }
    }

    fn crashed(frames: Vec<Frame>) -> Crashed<'static> {
        let core = core::Crash { signal: 11, address: Some(0), frames };
        Crashed {
            app: "shop",
            service: "web",
            signal: signal::number::SEGV,
            dumped: true,
            core: Some(core),
            ..Crashed::default()
        }
    }

    #[test]
    fn a_record_says_what_happened_and_where() {
        let frames = vec![
            frame("/srv/shop/server", 0x1234, Some("handle")),
            frame("/usr/lib/libc.so.6", 0x77, None),
            Frame { address: 0x10, module: None, symbol: None },
        ];
        let lines: Vec<String> = (0..30).map(|n| format!("{n} {}", "é".repeat(600))).collect();
        let crash = Crashed { last_lines: &lines, ..crashed(frames) };
        let AgentRecord { severity, body, attributes } = record(&crash);
        assert_eq!(severity, Severity::Fatal);
        assert_eq!(
            body,
            "ended by SIGSEGV: it used memory that it does not have, at address 0x0; core dumped"
        );
        assert_eq!(attributes["exception.type"], "SIGSEGV");
        assert_eq!(attributes["exception.language"], "signal");
        assert_eq!(
            attributes["exception.stacktrace"],
            "#0 handle+0x1f (/srv/shop/server+0x1234)\n#1 /usr/lib/libc.so.6+0x77\n#2 0x10"
        );
        let kept = attributes["crash.last_lines"].as_array().unwrap();
        assert!(kept.len() == LINES && kept[0].as_str().unwrap().starts_with("10 é"));
        assert!(kept.iter().all(|line| line.as_str().unwrap().len() <= LINE));
        let endless = vec![frame(&"/x".repeat(2000), 1, Some(&"y".repeat(500))); 64];
        let size = serde_json::to_string(&record(&crashed(endless)).attributes).unwrap().len();
        assert!(size < 2 * STACK, "{size}");
    }

    #[test]
    fn a_crash_is_the_same_by_its_place_and_not_by_its_addresses() {
        let print = |crash: &Crashed<'_>| {
            let record = record(crash);
            record.attributes["exception.fingerprint"].as_str().unwrap().to_owned()
        };
        let one = crashed(vec![frame(
            "/srv/1/server",
            0x1234,
            Some("_ZN4shop4main17h0123456789abcdefE"),
        )]);
        let mut again = crashed(vec![frame(
            "/srv/2/server",
            0x1300,
            Some("_ZN4shop4main17hfedcba9876543210E"),
        )]);
        again.app = "shop+3";
        assert_eq!(print(&one), print(&again));
        assert_eq!(print(&one).len(), 16);
        let elsewhere = crashed(vec![frame("/srv/1/server", 0x1234, Some("other"))]);
        let aborted = Crashed { signal: signal::number::ABRT, ..one.clone() };
        let other = Crashed { service: "db", ..one.clone() };
        let all = [one, elsewhere, aborted, other, crashed(Vec::new())].map(|crash| print(&crash));
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn whoever_had_all_its_memory_is_told_so() {
        let killed = Crashed {
            signal: signal::number::KILL,
            dumped: false,
            core: None,
            ..crashed(Vec::new())
        };
        assert_eq!(
            record(&killed).body,
            "ended by SIGKILL: the kernel ended it for want of memory"
        );
    }

    #[test]
    fn signals_that_people_send_are_no_crash() {
        use signal::number::{INT, KILL, QUIT, SEGV, SYS, TERM};
        assert!([SEGV, SYS].into_iter().all(is_crash));
        assert!(![INT, KILL, QUIT, TERM, 0].into_iter().any(is_crash));
    }
}
