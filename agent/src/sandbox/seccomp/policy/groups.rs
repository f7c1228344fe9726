//! The table of groups.
//!
//! Owns the list of what is allowed, checked and denied, with the reason wherever it is a judgement.
//! Invariant: the order carries no meaning. Never computes anything.

use super::super::arguments::{
    clone, ioctl, mknod, mode, open, personality, send, setns, setsockopt, socket, unshare,
};
use super::Class::{Absent, Allow, Checked, Fatal, Refused};
use super::Remedy::{Allowed, Capability, Never, Syscalls};
use super::{Class, Group, Remedy};

const OBSOLETE: Remedy = Never("the kernel no longer has it");

const fn allowed(calls: &'static str) -> Group {
    Group { calls, class: Allow, remedy: Allowed }
}

const fn group(class: Class, remedy: Remedy, calls: &'static str) -> Group {
    Group { calls, class, remedy }
}

pub(super) const GROUPS: &[Group] = &[
    // Files. Directories cannot be made with set-ID bits (the kernel masks the mode of mkdir), a
    // handle from name_to_handle_at is of no use without open_by_handle_at, and the attribute calls
    // do nothing the older ioctls would not.
    allowed(
        "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close \
         close_range dup dup2 dup3 fcntl flock pipe pipe2 sendfile splice tee vmsplice \
         copy_file_range stat fstat lstat newfstatat statx statfs fstatfs access faccessat \
         faccessat2 getdents getdents64 getcwd chdir fchdir rename renameat renameat2 mkdir \
         mkdirat rmdir link linkat unlink unlinkat symlink symlinkat readlink readlinkat chown \
         fchown lchown fchownat umask truncate ftruncate fallocate fadvise64 readahead sync \
         syncfs fsync fdatasync sync_file_range utime utimes futimesat utimensat cachestat \
         name_to_handle_at setxattr lsetxattr fsetxattr setxattrat getxattr lgetxattr fgetxattr \
         getxattrat listxattr llistxattr flistxattr listxattrat removexattr lremovexattr \
         fremovexattr removexattrat file_getattr file_setattr inotify_init inotify_init1 \
         inotify_add_watch inotify_rm_watch io_setup io_destroy io_submit io_cancel io_getevents \
         io_pgetevents",
    ),
    group(Checked(ioctl), Syscalls, "ioctl"),
    group(Checked(|held| open(1, held)), Capability(&["CAP_FSETID"]), "open"),
    group(Checked(|held| open(2, held)), Capability(&["CAP_FSETID"]), "openat"),
    group(Checked(|held| mode(1, held)), Capability(&["CAP_FSETID"]), "creat chmod fchmod"),
    group(Checked(|held| mode(2, held)), Capability(&["CAP_FSETID"]), "fchmodat fchmodat2"),
    // Its mode lies in memory; every user of it has a way for kernels before 5.6.
    group(Absent, Capability(&["CAP_FSETID"]), "openat2"),
    group(Checked(|held| mknod(1, held)), Capability(&["CAP_MKNOD"]), "mknod"),
    group(Checked(|held| mknod(2, held)), Capability(&["CAP_MKNOD"]), "mknodat"),
    // Waiting and events.
    allowed(
        "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait \
         epoll_pwait2 eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime \
         timerfd_gettime pause restart_syscall",
    ),
    // Memory.
    allowed(
        "brk mmap munmap mremap mprotect msync mincore madvise process_madvise process_mrelease \
         mlock mlock2 mlockall munlock munlockall mseal memfd_create memfd_secret pkey_mprotect \
         pkey_alloc pkey_free map_shadow_stack remap_file_pages mbind set_mempolicy \
         get_mempolicy set_mempolicy_home_node migrate_pages move_pages membarrier",
    ),
    // Processes and threads. Tracing ends at the app's own uid and pid namespace, whose pid 1 is
    // not dumpable. The kernel plants uretprobe and uprobe in a program that an operator probes,
    // and kills it if it makes them itself. prctl changes the caller only.
    allowed(
        "fork vfork execve execveat exit exit_group wait4 waitid kill tkill tgkill \
         pidfd_open pidfd_getfd pidfd_send_signal getpid getppid gettid setpgid getpgid getpgrp \
         setsid getsid set_tid_address set_robust_list get_robust_list futex futex_waitv \
         futex_wake futex_wait futex_requeue rseq arch_prctl prctl ptrace process_vm_readv \
         process_vm_writev kcmp uretprobe uprobe",
    ),
    group(Checked(clone), Capability(&["CAP_SYS_ADMIN"]), "clone"),
    group(Checked(unshare), Capability(&["CAP_SYS_ADMIN"]), "unshare"),
    group(Checked(setns), Capability(&["CAP_SYS_ADMIN"]), "setns"),
    // Its flags lie in memory, so it could make namespaces unseen; libc falls back to clone.
    group(Absent, Syscalls, "clone3"),
    group(Checked(personality), Syscalls, "personality"),
    // Scheduling and limits: the kernel asks for a capability to raise any of them.
    allowed(
        "sched_yield sched_setparam sched_getparam sched_setscheduler sched_getscheduler \
         sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_setaffinity \
         sched_getaffinity sched_setattr sched_getattr getpriority setpriority ioprio_set \
         ioprio_get getrlimit setrlimit prlimit64 getrusage times getcpu sysinfo uname",
    ),
    // Signals.
    allowed(
        "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo \
         rt_tgsigqueueinfo rt_sigsuspend sigaltstack",
    ),
    // Time. Setting it through adjtimex asks for CAP_SYS_TIME in the kernel; reading does not, and
    // which of the two it is lies in memory.
    allowed(
        "time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep alarm getitimer \
         setitimer timer_create timer_settime timer_gettime timer_getoverrun timer_delete \
         adjtimex clock_adjtime",
    ),
    group(Refused, Capability(&["CAP_SYS_TIME"]), "settimeofday clock_settime"),
    // Identity, and what a program may take away from itself.
    allowed(
        "getuid getgid geteuid getegid setuid setgid setreuid setregid getresuid setresuid \
         getresgid setresgid setfsuid setfsgid getgroups setgroups capget capset seccomp \
         landlock_create_ruleset landlock_add_rule landlock_restrict_self getrandom \
         lsm_get_self_attr lsm_list_modules",
    ),
    // The sockets themselves are checked where they are made.
    allowed(
        "connect accept accept4 bind listen shutdown getsockname getpeername \
         getsockopt recvfrom recvmsg recvmmsg",
    ),
    group(Checked(socket), Syscalls, "socket socketpair"),
    group(Checked(setsockopt), Syscalls, "setsockopt"),
    group(Checked(|held| send(3, held)), Syscalls, "sendto sendmmsg"),
    group(Checked(|held| send(2, held)), Syscalls, "sendmsg"),
    // System V IPC and message queues, in an ipc namespace of the app's own.
    allowed(
        "shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl \
         mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr",
    ),
    // Programs try these and take another way. An io_uring opens files and sockets past this
    // filter; keyrings have no namespace of their own.
    group(Absent, Syscalls, "io_uring_setup io_uring_enter io_uring_register"),
    group(Absent, Syscalls, "keyctl add_key request_key"),
    // What they tell about mounts is in /proc; ustat knows file systems outside the root.
    group(Absent, Syscalls, "statmount listmount lsm_set_self_attr modify_ldt sysfs ustat"),
    // Programs try these and do without.
    group(Refused, Capability(&["CAP_BPF", "CAP_SYS_ADMIN"]), "bpf"),
    group(Refused, Capability(&["CAP_PERFMON", "CAP_SYS_ADMIN"]), "perf_event_open"),
    group(Refused, Capability(&["CAP_SYS_PTRACE"]), "userfaultfd"),
    group(Refused, Capability(&["CAP_SYS_CHROOT"]), "chroot"),
    group(Refused, Capability(&["CAP_SYSLOG"]), "syslog"),
    group(Refused, Capability(&["CAP_SYS_TTY_CONFIG"]), "vhangup"),
    group(
        Refused,
        Capability(&["CAP_SYS_ADMIN"]),
        "fanotify_init fanotify_mark sethostname setdomainname quotactl quotactl_fd lookup_dcookie",
    ),
    // The host's to do.
    group(
        Fatal,
        Capability(&["CAP_SYS_ADMIN"]),
        "mount umount2 move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick \
         mount_setattr pivot_root swapon swapoff",
    ),
    group(Fatal, Capability(&["CAP_SYS_MODULE"]), "init_module finit_module delete_module"),
    group(Fatal, Capability(&["CAP_SYS_BOOT"]), "reboot"),
    group(Fatal, Capability(&["CAP_SYS_PACCT"]), "acct"),
    group(Fatal, Capability(&["CAP_SYS_RAWIO"]), "iopl ioperm"),
    group(Fatal, Never("it replaces the kernel of the host"), "kexec_load kexec_file_load"),
    group(Fatal, Never("it opens files outside the granted paths"), "open_by_handle_at"),
    group(
        Fatal,
        OBSOLETE,
        "uselib _sysctl create_module get_kernel_syms query_module nfsservctl getpmsg putpmsg \
         afs_syscall tuxcall security vserver set_thread_area get_thread_area epoll_ctl_old \
         epoll_wait_old",
    ),
];
