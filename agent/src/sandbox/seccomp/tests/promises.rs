//! What the sandbox promises about system calls, each as a table of calls and answers.

use super::*;
use crate::sandbox::seccomp::is_known;

const EPERM: u32 = errno(1);
const ENOSYS: u32 = errno(38);
const EPROTONOSUPPORT: u32 = errno(93);
const ESOCKTNOSUPPORT: u32 = errno(94);
const EAFNOSUPPORT: u32 = errno(97);

type Case<'a> = (&'a str, &'a [u64], u32);

/// Checks the cases on every architecture that has the call.
fn assert_answers(capabilities: &[&str], syscalls: &[&str], cases: &[Case<'_>]) {
    for architecture in ARCHITECTURES {
        let program = filter(architecture, capabilities, syscalls);
        for (name, arguments, expected) in cases {
            assert!(is_known(name), "{name}");
            if number_of(architecture, name).is_some() {
                let actual = answer(architecture, &program, name, arguments);
                assert_eq!(actual, *expected, "{name} {arguments:x?}: {actual:#x}");
            }
        }
    }
}

#[test]
fn sockets_are_of_allowed_families_and_protocols() {
    const CLOEXEC_NONBLOCK: u64 = 0x8_0800;
    for call in ["socket", "socketpair"] {
        assert_answers(
            &[],
            &[],
            &[
                (call, &[1, 1, 0], ALLOW),
                (call, &[2, 1 | CLOEXEC_NONBLOCK, 6], ALLOW),
                (call, &[10, 2, 17], ALLOW),
                (call, &[16, 3, 0], ALLOW),
                (call, &[16, 3, 9], EAFNOSUPPORT),  // NETLINK_AUDIT
                (call, &[16, 3, 16], EAFNOSUPPORT), // NETLINK_GENERIC
                (call, &[2, 1, 262], EPROTONOSUPPORT), // MPTCP
                (call, &[10, 1 | CLOEXEC_NONBLOCK, 262], EPROTONOSUPPORT),
                (call, &[2, 1, 132], EPROTONOSUPPORT), // SCTP
                (call, &[2, 1, 256], EPROTONOSUPPORT), // SMC
                (call, &[2, 2, 1], EPROTONOSUPPORT),   // ICMP
                (call, &[2, 5, 132], ESOCKTNOSUPPORT), // SOCK_SEQPACKET
                (call, &[2, 3 | CLOEXEC_NONBLOCK, 1], EPERM), // SOCK_RAW
                (call, &[10, 10, 0], EPERM),           // SOCK_PACKET
                (call, &[17, 3, 0], EAFNOSUPPORT),     // AF_PACKET
                (call, &[38, 5, 0], EAFNOSUPPORT),     // AF_ALG
                (call, &[40, 1, 0], EAFNOSUPPORT),     // AF_VSOCK
                (call, &[0, 1, 0], EAFNOSUPPORT),
                // The kernel truncates to int: these are MPTCP, AF_PACKET and a raw socket.
                (call, &[2, 1, 0x1_0000_0106], EPROTONOSUPPORT),
                (call, &[0xffff_ffff_0000_0011, 3, 0], EAFNOSUPPORT),
                (call, &[2, 0x7_0000_0003, 0], EPERM),
            ],
        );
    }
    assert_answers(
        &["CAP_NET_RAW"],
        &[],
        &[
            ("socket", &[17, 3, 0], ALLOW),
            ("socket", &[2, 3, 1], ALLOW),
            ("socket", &[2, 2, 1], ALLOW),
            ("socket", &[2, 1, 262], EPROTONOSUPPORT),
            ("socket", &[16, 3, 16], EAFNOSUPPORT),
        ],
    );
    assert_answers(&["CAP_NET_ADMIN"], &[], &[("socket", &[16, 3, 12], ALLOW)]);
}

#[test]
fn terminals_take_no_input_from_programs() {
    assert_answers(
        &["CAP_SYS_ADMIN"],
        &[],
        &[
            ("ioctl", &[0, 0x5412], EPERM),
            ("ioctl", &[0, 0x541c], EPERM),
            ("ioctl", &[0, 0x5423], EPERM),
            ("ioctl", &[0, 0xdead_beef_0000_5412], EPERM), // CVE-2019-10063
            ("ioctl", &[0, 0x5401], ALLOW),
            ("ioctl", &[0, 0x5413], ALLOW),
        ],
    );
}

#[test]
fn namespaces_are_made_by_nobody_or_the_administrator() {
    const FLAGS: &[u64] = &[
        0x0002_0000,
        0x0200_0000,
        0x0400_0000,
        0x0800_0000,
        0x1000_0000,
        0x2000_0000,
        0x4000_0000,
    ];
    for &flag in FLAGS {
        let lifted = if flag == 0x1000_0000 { EPERM } else { ALLOW };
        for (capabilities, expected) in [(&[][..], EPERM), (&["CAP_SYS_ADMIN"], lifted)] {
            assert_answers(
                capabilities,
                &[],
                &[
                    ("clone", &[flag | 17], expected),
                    ("unshare", &[flag], expected),
                    ("unshare", &[flag | 0x400], expected),
                    ("setns", &[3, flag], expected),
                ],
            );
        }
    }
    assert_answers(
        &[],
        &[],
        &[
            ("unshare", &[0x80], EPERM),      // CLONE_NEWTIME
            ("unshare", &[0x600], ALLOW),     // CLONE_FS | CLONE_FILES
            ("clone", &[0x003d_0f00], ALLOW), // a thread
            ("clone", &[17], ALLOW),          // a process
            ("clone3", &[], ENOSYS),
            ("setns", &[3, 0], EPERM),
        ],
    );
    assert_answers(
        &["CAP_SYS_ADMIN"],
        &[],
        &[("clone3", &[], ENOSYS), ("unshare", &[0x80], ALLOW)],
    );
}

#[test]
fn files_get_no_set_id_bits() {
    for (mode, expected) in [(0o755, ALLOW), (0o1755, ALLOW), (0o4755, EPERM), (0o2755, EPERM)] {
        let cases: &[Case<'_>] = &[
            ("chmod", &[0, mode], expected),
            ("fchmod", &[0, mode], expected),
            ("creat", &[0, mode], expected),
            ("fchmodat", &[0, 0, mode], expected),
            ("fchmodat2", &[0, 0, mode], expected),
            ("open", &[0, 0x41, mode], expected),
            ("openat", &[0, 0, 0x41, mode], expected),
            ("openat", &[0, 0, 0x41_0000, mode], expected), // O_TMPFILE
            ("mknod", &[0, mode], expected),
            ("mknodat", &[0, 0, mode], expected),
            // Without O_CREAT the mode is whatever the register held.
            ("open", &[0, 0x2, mode], ALLOW),
            ("openat", &[0, 0, 0x8_0000, mode], ALLOW),
            ("mkdir", &[0, mode], ALLOW),
        ];
        assert_answers(&[], &[], cases);
    }
    assert_answers(
        &["CAP_FSETID"],
        &[],
        &[
            ("chmod", &[0, 0o4755], ALLOW),
            ("openat", &[0, 0, 0x41, 0o2755], ALLOW),
            ("mknodat", &[0, 0, 0o104_755], ALLOW),
            ("openat2", &[], ALLOW),
        ],
    );
    assert_answers(&[], &[], &[("openat2", &[], ENOSYS)]);
}

#[test]
fn nodes_are_no_devices() {
    for call in [("mknod", 1), ("mknodat", 2)] {
        let answer = |capabilities: &[&str], mode: u64, expected| {
            let mut arguments = [0; 4];
            arguments[call.1] = mode;
            assert_answers(capabilities, &[], &[(call.0, &arguments, expected)]);
        };
        for plain in [0o644, 0o100_644, 0o010_644, 0o140_644] {
            answer(&[], plain, ALLOW);
        }
        for device in [0o020_644, 0o060_644] {
            answer(&[], device, EPERM);
            answer(&["CAP_MKNOD"], device, ALLOW);
            answer(&["CAP_MKNOD"], device | 0o4000, EPERM);
        }
    }
}

#[test]
fn what_programs_probe_is_refused_and_what_they_need_is_there() {
    const REFUSED: &[&str] = &[
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "fanotify_init",
        "chroot",
        "vhangup",
        "syslog",
        "settimeofday",
        "clock_settime",
        "sethostname",
        "setdomainname",
        "quotactl",
        "lookup_dcookie",
    ];
    const ABSENT: &[&str] = &[
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "keyctl",
        "add_key",
        "request_key",
        "clone3",
        "openat2",
        "statmount",
        "listmount",
    ];
    const NEEDED: &[&str] = &[
        "execve",
        "mmap",
        "futex",
        "futex_waitv",
        "futex_wait",
        "rseq",
        "epoll_wait",
        "epoll_pwait",
        "memfd_create",
        "memfd_secret",
        "pidfd_open",
        "close_range",
        "process_madvise",
        "cachestat",
        "mseal",
        "map_shadow_stack",
        "shmget",
        "semop",
        "msgget",
        "mq_open",
        "inotify_init1",
        "ptrace",
        "process_vm_readv",
        "seccomp",
        "landlock_create_ruleset",
        "splice",
        "prctl",
        "copy_file_range",
        "name_to_handle_at",
        "restart_syscall",
        "rt_sigreturn",
        "adjtimex",
        "setpriority",
        "vfork",
        "getrandom",
        "io_submit",
        "mbind",
        "uretprobe",
    ];
    for (names, expected) in [(REFUSED, EPERM), (ABSENT, ENOSYS), (NEEDED, ALLOW)] {
        for name in names {
            assert_answers(&[], &[], &[(name, &[], expected)]);
        }
    }
    assert_answers(
        &[],
        &[],
        &[
            ("personality", &[0], ALLOW),
            ("personality", &[0xffff_ffff], ALLOW),
            ("personality", &[0x0004_0000], EPERM), // ADDR_NO_RANDOMIZE
            ("personality", &[0x0040_0000], EPERM), // READ_IMPLIES_EXEC
        ],
    );
}

const FATAL: &[&str] = &[
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "open_tree_attr",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "pivot_root",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "iopl",
    "ioperm",
    "open_by_handle_at",
    "uselib",
    "nfsservctl",
    "_sysctl",
];

#[test]
fn fatal_calls_are_reported_or_end_the_process() {
    for architecture in ARCHITECTURES {
        let unheard = Request {
            capabilities: &[],
            syscalls: &[],
            datagrams: true,
            groups: true,
            fast_open: true,
            notify: false,
        };
        let unheard = compile_for(architecture, &unheard).unwrap();
        let heard = filter(architecture, &[], &[]);
        for name in FATAL.iter().filter(|name| number_of(architecture, name).is_some()) {
            assert_eq!(answer(architecture, &heard, name, &[]), NOTIFY, "{name}");
            assert_eq!(answer(architecture, &unheard, name, &[]), KILL, "{name}");
        }
    }
}

#[test]
fn numbers_beyond_the_tables_are_absent() {
    for architecture in ARCHITECTURES {
        let program = filter(architecture, &[], &[]);
        for number in [400, 470, 512, 547, 1000, 0x3fff_ffff, u32::MAX] {
            assert_eq!(run(&program, &Data::native(architecture, number, &[])), ENOSYS);
        }
    }
    let program = filter(&X86_64, &[], &[]);
    for x32 in [0x4000_0000, 0x4000_0208, 0x7fff_ffff] {
        assert_eq!(run(&program, &Data::native(&X86_64, x32, &[])), KILL);
    }
}
