//! What Landlock rules on here, asked of the kernel itself: tests say by it what holds where it is
//! older, or not there at all.

use std::process::Command;

/// ABI with rules on TCP ports (kernel 6.7).
pub const PORTS: u32 = 4;

/// ABI with scopes of abstract Unix sockets and signals (kernel 6.12).
pub const SCOPES: u32 = 6;

/// The kernel's Landlock ABI, 0 without Landlock (landlock_create_ruleset(2), system call 444 on
/// every architecture).
pub fn abi() -> u32 {
    let ask = "import ctypes; print(max(ctypes.CDLL(None).syscall(444, None, 0, 1), 0))";
    let output = Command::new("python3").args(["-c", ask]).output().expect("python3 is needed");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("python3 prints a number")
}

/// What a TCP port that is not granted is refused with in root's sandbox: Landlock is asked before
/// the programs.
pub fn port_refusal() -> &'static str {
    if abi() >= PORTS { "EACCES" } else { "EPERM" }
}
