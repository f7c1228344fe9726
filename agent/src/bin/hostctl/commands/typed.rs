//! What was put on top of a manifest, as somebody would type it.
//!
//! Invariant: pasted into a shell it means the same; it is one line, whatever is in it.

use manifest_spec::api::{OverridesWire, PortOffset};

/// The flags, without variables of the environment.
pub fn flags(overrides: &OverridesWire) -> Vec<String> {
    let mut flags = Vec::new();
    flags.extend(overrides.profile.iter().map(|name| format!("--profile {}", quoted(name))));
    flags.extend(overrides.unset.iter().map(|key| format!("--unset {}", quoted(key))));
    flags.extend(overrides.set.iter().map(|set| format!("--set {}", quoted(set))));
    match overrides.port_offset {
        PortOffset::By(0) => {}
        PortOffset::By(offset) => flags.push(format!("--port-offset {offset}")),
        PortOffset::Auto => flags.push("--port-offset auto".to_owned()),
    }
    flags
}

/// The variables, as they stand before a command.
pub fn variables(overrides: &OverridesWire) -> Vec<String> {
    let one = |(name, value): &(String, String)| format!("{name}={}", quoted(value));
    overrides.variables.iter().map(one).collect()
}

/// One word of a shell (POSIX.1-2017, Shell Command Language, 2.2.2), without line breaks.
pub fn quoted(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:+,@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one() {
        assert_eq!(quoted("limits.memory=1G"), "limits.memory=1G");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
