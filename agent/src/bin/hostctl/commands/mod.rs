//! One file a command.

pub mod apply;
pub mod audit;
pub mod check;
pub mod completions;
pub mod control;
pub mod deploy;
pub mod difference;
pub mod doctor;
pub mod events;
pub mod exec;
pub mod halt;
pub mod history;
pub mod hooks;
pub mod init;
pub mod lb;
pub mod lease;
mod load;
pub mod lock;
pub mod logs;
pub mod names;
pub mod plan;
pub mod policy;
pub mod proxy;
pub mod ps;
pub mod remove;
pub mod rollback;
pub mod run;
pub mod schema;
pub mod sinks;
pub mod status;
pub mod top;
pub mod tracebacks;
mod typed;
mod waiting;

use host_sys::process::Exit;

/// The program's own code, or 128+N as shells count signals.
fn exit_code(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(number, _) => 128_u8.saturating_add(u8::try_from(number).unwrap_or(127)),
    }
}

/// Milliseconds since 1970, as hostd counts.
fn now_ms() -> u64 {
    agent::clock::since_epoch().as_millis() as u64
}

/// A TOML basic string (TOML 1.0, section String).
fn quoted(text: &str) -> String {
    // JSON's escapes are TOML's; only DEL, which JSON leaves as it is, must be escaped too.
    serde_json::Value::from(text).to_string().replace('\x7f', "\\u007F")
}
