//! The compiled program against a plain reading of the rules.

use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use proptest::sample::{select, subsequence};

use super::*;
use crate::sandbox::seccomp::assemble;
use crate::sandbox::seccomp::policy::Policy;
use crate::sandbox::seccomp::rule::{ENOSYS, Range};

/// Evaluates the policy with no ranges, tree or jumps in between.
fn read_out(architecture: &Architecture, policy: &Policy, data: &Data) -> u32 {
    if data.architecture != architecture.audit {
        return KILL;
    }
    let known = architecture.calls().find(|(number, _)| *number == data.number);
    let action = match known {
        Some((_, name)) => decide(policy.rule(name), &data.arguments.unwrap_or_default()),
        None if architecture.x32 && (0x4000_0000..u32::MAX).contains(&data.number) => {
            Action::KillProcess
        }
        None => Action::Errno(38),
    };
    action.value()
}

fn decide(rule: &Rule, arguments: &[u64; 6]) -> Action {
    match rule {
        Rule::Answer(action) => *action,
        Rule::Switch { argument, mask, arms, otherwise } => {
            let value = arguments[usize::from(*argument)] as u32 & mask;
            let arm = arms.iter().find(|(candidate, _)| *candidate == value);
            decide(arm.map_or(otherwise, |(_, rule)| rule), arguments)
        }
    }
}

/// Values near everything a rule compares with.
const TELLING: &[u64] = &[
    0,
    1,
    2,
    3,
    5,
    6,
    10,
    16,
    17,
    58,
    0x40,
    0x80,
    0o644,
    0o4755,
    0o2755,
    0o20_644,
    0o60_644,
    0o100_644,
    0o140_644,
    262,
    0x5411,
    0x5412,
    0x541c,
    0x5423,
    0x10_0000,
    0x1000_0000,
    0x2002_0000,
    0x7e02_0080,
    0xffff_ffff,
];

const CAPABILITIES: &[&str] = &[
    "CAP_SYS_ADMIN",
    "CAP_NET_RAW",
    "CAP_NET_ADMIN",
    "CAP_FSETID",
    "CAP_MKNOD",
    "CAP_BPF",
    "CAP_SYS_TIME",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_PTRACE",
];

#[test]
fn answers_every_number_as_the_rules_say() {
    let requests: &[(&[&str], &[&str], bool)] = &[
        (&[], &[], true),
        (&[], &[], false),
        (CAPABILITIES, &[], true),
        (&["CAP_NET_RAW"], &["mount", "clone3", "kexec_load", "socket"], true),
    ];
    for architecture in ARCHITECTURES {
        for &(capabilities, syscalls, notify) in requests {
            let (capabilities, syscalls) = (strings(capabilities), strings(syscalls));
            let request = Request {
                capabilities: &capabilities,
                syscalls: &syscalls,
                datagrams: true,
                groups: true,
                fast_open: true,
                notify,
            };
            let program = compile_for(architecture, &request).unwrap();
            let policy = Policy::new(&request);
            let edges = [0x3fff_ffff, 0x4000_0000, 0x4000_0029, 0x7fff_ffff, 0x8000_0000, u32::MAX];
            for number in (0..1024).chain(edges) {
                for values in TELLING.windows(3) {
                    let data = Data::native(architecture, number, values);
                    let expected = read_out(architecture, &policy, &data);
                    assert_eq!(run(&program, &data), expected, "{data:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn answers_any_call_as_the_rules_say(
        number in 0_u32..520,
        arguments in proptest::array::uniform6(select(TELLING)),
        capabilities in subsequence(CAPABILITIES, 0..=CAPABILITIES.len()),
        syscalls in proptest::collection::vec(select(call_names()), 0..40),
        notify in any::<bool>(),
    ) {
        let (capabilities, syscalls) = (strings(&capabilities), strings(&syscalls));
        let request = Request { capabilities: &capabilities, syscalls: &syscalls, datagrams: true, groups: true, fast_open: true, notify };
        let policy = Policy::new(&request);
        for architecture in ARCHITECTURES {
            let program = compile_for(architecture, &request).unwrap();
            let data = Data::native(architecture, number, &arguments);
            prop_assert_eq!(run(&program, &data), read_out(architecture, &policy, &data));
        }
    }

    #[test]
    fn ignores_the_upper_half_of_arguments(
        number in 0_u32..520,
        low in proptest::array::uniform6(select(TELLING)),
        high in proptest::array::uniform6(any::<u32>()),
    ) {
        for architecture in ARCHITECTURES {
            let program = filter(architecture, &[], &[]);
            let plain = Data::native(architecture, number, &low);
            let mut dressed = low;
            for (value, high) in dressed.iter_mut().zip(high) {
                *value |= u64::from(high) << 32;
            }
            let dressed = Data::native(architecture, number, &dressed);
            prop_assert_eq!(run(&program, &plain), run(&program, &dressed));
        }
    }
}

#[test]
fn ends_calls_of_another_architecture() {
    for architecture in ARCHITECTURES {
        let program = filter(architecture, &[], &[]);
        // i386, arm, riscv64, and x86_64 without the 64-bit flag.
        for other in [0x4000_0003, 0x4000_0028, 0xc000_00f3, 0x4000_003e] {
            let data = Data { number: 0, architecture: other, arguments: None };
            assert_eq!(run(&program, &data), KILL);
        }
    }
    assert_eq!((X86_64.audit, AARCH64.audit), (0xc000_003e, 0xc000_00b7));
}

#[test]
fn allows_without_looking_at_arguments_where_no_rule_does() {
    for architecture in ARCHITECTURES {
        let program = filter(architecture, &[], &[]);
        let request = Request {
            capabilities: &[],
            syscalls: &[],
            datagrams: true,
            groups: true,
            fast_open: true,
            notify: true,
        };
        let policy = Policy::new(&request);
        for (number, name) in architecture.calls() {
            if matches!(policy.rule(name), Rule::Answer(_)) {
                let data = Data { number, architecture: architecture.audit, arguments: None };
                run(&program, &data);
            }
        }
    }
}

/// What `bpf_check_classic` and `seccomp_check_filter` of the kernel ask of a program.
fn verify(program: &[Instruction]) {
    assert!(!program.is_empty() && program.len() <= 4096);
    assert_eq!(program.last().unwrap().code, 0x06);
    for (at, instruction) in program.iter().enumerate() {
        let left = program.len() - at - 1;
        match instruction.code {
            0x05 => assert!(usize::try_from(instruction.k).unwrap() < left),
            0x15 | 0x35 | 0x45 => assert!(usize::from(instruction.jt.max(instruction.jf)) < left),
            0x20 => assert!(instruction.k % 4 == 0 && instruction.k < 64),
            0x06 | 0x54 => {}
            code => panic!("operation {code:#x}"),
        }
    }
}

#[test]
fn stays_within_what_the_kernel_accepts() {
    for architecture in ARCHITECTURES {
        let default = filter(architecture, &[], &[]);
        verify(&default);
        assert!(default.len() <= 300, "the default filter grew to {}", default.len());
        verify(&filter(architecture, CAPABILITIES, &[]));
    }
}

#[test]
fn reaches_targets_beyond_a_byte_sized_jump() {
    let checked = |value| Rule::one_of(1, 0xff, &[value], Rule::Answer(Action::Allow), ENOSYS);
    for count in 2_u32..330 {
        let rule = |first: u32| match first % 3 {
            0 => Rule::Answer(Action::Errno(u16::try_from(first % 200).unwrap())),
            1 => Rule::Answer(Action::Allow),
            _ => checked(first % 40),
        };
        let ranges: Vec<Range> =
            (0..count).map(|first| Range { first, rule: rule(first) }).collect();
        let program = assemble::program(X86_64.audit, &ranges);
        verify(&program);
        for number in 0..count {
            for value in [number % 40, 77] {
                let data = Data::native(&X86_64, number, &[0, u64::from(value)]);
                let expected = decide(&rule(number), &data.arguments.unwrap()).value();
                assert_eq!(run(&program, &data), expected, "{count} ranges, {data:?}");
            }
        }
    }
}

#[test]
fn is_the_same_for_the_same_request() {
    for architecture in ARCHITECTURES {
        let capabilities = ["CAP_SYS_ADMIN", "CAP_NET_RAW"];
        let reversed = ["CAP_NET_RAW", "CAP_SYS_ADMIN"];
        let first = filter(architecture, &capabilities, &["clone3", "bpf"]);
        assert_eq!(first, filter(architecture, &reversed, &["bpf", "clone3", "bpf"]));
    }
}
