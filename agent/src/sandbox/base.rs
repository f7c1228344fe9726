//! The host files behind `base = "system"`: what a dynamically linked program from a distribution
//! needs and that tells nothing about this host's secrets.
//!
//! Data only. Everything here is world-readable on any distribution; none of it is a grant.

/// Small files copied into the root as they are at the start. Each costs a start some microseconds,
/// so only what programs can't do without is here.
pub(super) const COPIED: [&str; 5] = [
    "/etc/ld.so.cache",     // ld.so(8): where libraries are
    "/etc/nsswitch.conf",   // getaddrinfo(3), getpwnam(3)
    "/etc/services",        // getservbyname(3)
    "/etc/protocols",       // getprotobyname(3)
    "/etc/ssl/openssl.cnf", // config(5ssl)
];

/// Directories bound read-only where the host has them.
pub(super) const BOUND: [&str; 4] = [
    "/etc/alternatives",    // Debian's links from /usr/bin to the chosen program
    "/etc/ssl/certs",       // certificate authorities
    "/etc/pki/tls/certs",   // the same on Fedora and its kin
    "/etc/crypto-policies", // what OpenSSL and GnuTLS read on Fedora and its kin
];

/// Devices every program may use (Linux allocated devices, major 1 and 5).
pub(super) const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links in /dev that programs expect.
pub(super) const DEVICE_LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// Parts of /proc that describe or control the host rather than the program. The whole of /proc is
/// read-only already, and most of this needs a uid the program does not have: this is the second
/// lock (CVE-2025-31133 and its kin are about the first one failing).
pub(super) const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/sched_debug",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
];
