//! The effective default policy, one line per call, held in `tests/seccomp/default.txt`.

use std::fmt::Write;
use std::path::Path;

use super::*;
use crate::sandbox::seccomp::policy::Policy;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment to rewrite")]
fn default_policy_is_the_one_on_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seccomp/default.txt");
    let actual = default_policy();
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let changed: Vec<&str> =
        actual.lines().filter(|line| !expected.lines().any(|known| known == *line)).collect();
    assert!(
        actual == expected,
        "the default policy changed; set UPDATE_GOLDENS=1 if it should:\n{}",
        changed.join("\n")
    );
}

/// Calls by name, with their numbers on x86_64 and aarch64.
fn default_policy() -> String {
    let policy = Policy::new(&Request {
        capabilities: &[],
        syscalls: &[],
        datagrams: true,
        groups: true,
        fast_open: true,
        notify: true,
    });
    let column = |architecture, name| {
        number_of(architecture, name).map_or("-".to_owned(), |number| number.to_string())
    };
    let mut text = String::new();
    for name in call_names() {
        let (x86_64, aarch64) = (column(&X86_64, name), column(&AARCH64, name));
        let rule = describe(policy.rule(name));
        writeln!(text, "{name:<24} {x86_64:>4} {aarch64:>4}  {rule}").unwrap();
    }
    text
}

fn describe(rule: &Rule) -> String {
    match rule {
        Rule::Answer(Action::Allow) => "allow".to_owned(),
        Rule::Answer(Action::Errno(number)) => errno_name(*number).to_owned(),
        Rule::Answer(Action::UserNotif) => "notify".to_owned(),
        Rule::Answer(Action::KillProcess) => "kill".to_owned(),
        Rule::Switch { argument, mask, arms, otherwise } => {
            let masked = if *mask == u32::MAX { String::new() } else { format!(" & {mask:#x}") };
            let mut text = format!("arg{argument}{masked} {{");
            for (value, rule) in arms {
                write!(text, " {value:#x}: {},", describe(rule)).unwrap();
            }
            write!(text, " else: {} }}", describe(otherwise)).unwrap();
            text
        }
    }
}

fn errno_name(number: u16) -> &'static str {
    match number {
        1 => "EPERM",
        38 => "ENOSYS",
        93 => "EPROTONOSUPPORT",
        94 => "ESOCKTNOSUPPORT",
        97 => "EAFNOSUPPORT",
        _ => panic!("errno {number} has no name here"),
    }
}
