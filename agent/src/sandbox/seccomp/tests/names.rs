//! The names: the tables, the groups, the remedies and the words about them.

use super::*;
use crate::sandbox::seccomp::policy::grouped;
use crate::sandbox::seccomp::{Remedy, UnknownCall, compile, name_of, nearest, remedy};

#[test]
fn every_call_is_in_one_group_and_every_group_names_calls() {
    let mut grouped: Vec<&str> = grouped().collect();
    grouped.sort_unstable();
    assert_eq!(grouped, call_names());
}

#[test]
fn tables_rise_and_repeat_no_name() {
    for architecture in ARCHITECTURES {
        let calls: Vec<(u32, &str)> = architecture.calls().collect();
        assert!(calls.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let mut names: Vec<&str> = calls.iter().map(|(_, name)| *name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
    for (number, name) in [(0, "read"), (334, "rseq"), (336, "uprobe"), (469, "file_setattr")] {
        assert_eq!(number_of(&X86_64, name), Some(number));
    }
    for (number, name) in [(63, "read"), (243, "recvmmsg"), (260, "wait4"), (293, "rseq")] {
        assert_eq!(number_of(&AARCH64, name), Some(number));
    }
}

#[test]
fn unknown_names_are_refused_with_a_suggestion() {
    let suggestions: &[(&str, Option<&str>)] = &[
        ("opennat", Some("openat")),
        ("io_uring_setpu", Some("io_uring_setup")),
        ("mout", Some("mount")),
        ("frobnicate_the_bits", None),
        ("", None),
    ];
    for &(name, expected) in suggestions {
        assert_eq!(nearest(name), expected, "{name}");
    }
    let syscalls = strings(&["mount", "mout"]);
    let error = compile(&Request {
        capabilities: &[],
        syscalls: &syscalls,
        datagrams: true,
        groups: true,
        fast_open: true,
        notify: true,
    });
    let error = error.unwrap_err();
    assert_eq!(error, UnknownCall { name: "mout".to_owned(), nearest: Some("mount") });
    assert_eq!(error.to_string(), r#"unknown system call "mout"; did you mean "mount"?"#);
    assert_eq!(remedy("mout"), Remedy::Never("there is no such system call"));
    assert!(name_of(100_000).is_none() && name_of(0).is_some());
}

#[test]
fn advice_is_a_line_for_the_manifest() {
    let advice = |name: &str| remedy(name).advice(name);
    assert_eq!(advice("clone3"), r#"to allow it: [access] syscalls = ["clone3"]"#);
    assert_eq!(advice("mount"), r#"to allow it: [access] capabilities = ["CAP_SYS_ADMIN"]"#);
    assert_eq!(advice("kexec_load"), "no setting allows it: it replaces the kernel of the host");
}

#[test]
fn the_remedy_of_a_denied_call_allows_it() {
    for architecture in ARCHITECTURES {
        for (_, name) in architecture.calls() {
            let allowed = match remedy(name) {
                Remedy::Allowed => filter(architecture, &[], &[]),
                Remedy::Syscalls => filter(architecture, &[], &[name]),
                Remedy::Capability(any) => {
                    for capability in any {
                        let program = filter(architecture, &[capability], &[]);
                        assert_eq!(answer(architecture, &program, name, &[]), ALLOW, "{name}");
                    }
                    filter(architecture, &[], &[name])
                }
                Remedy::Never(_) => {
                    let program = filter(architecture, &[], &[name]);
                    assert_eq!(answer(architecture, &program, name, &[]), NOTIFY, "{name}");
                    continue;
                }
            };
            assert_eq!(answer(architecture, &allowed, name, &[]), ALLOW, "{name}");
        }
    }
}
