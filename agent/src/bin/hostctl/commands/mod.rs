//! One file a command.

pub mod check;
pub mod completions;
pub mod doctor;
pub mod init;
mod load;
pub mod plan;
pub mod run;
pub mod schema;

/// A TOML basic string (TOML 1.0, section String).
fn quoted(text: &str) -> String {
    // JSON's escapes are TOML's; only DEL, which JSON leaves as it is, must be escaped too.
    serde_json::Value::from(text).to_string().replace('\x7f', "\\u007F")
}
