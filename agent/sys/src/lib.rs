//! Safe functions over the kernel calls hostctl needs: the only unsafe code of the workspace.
//!
//! One file per kernel area. Invariant: every function is safe to call with any arguments of its
//! types; descriptors are owned or borrowed, never bare numbers, and all of them are close-on-exec.
//! Holds no policy: it never decides what an app may do, never retries, never prints. Errors are
//! the kernel's own [`Errno`]; the caller names the step and the object.

#![allow(unsafe_code)] // the one crate for it: see the SAFETY comments

mod raw;

pub mod bpf;
pub mod clock;
pub mod creds;
pub mod datagram;
pub mod diag;
pub mod file;
pub mod landlock;
pub mod limit;
pub mod lock;
pub mod mount;
pub mod namespace;
pub mod net;
pub mod netlink;
pub mod pipe;
pub mod poll;
pub mod process;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod terminal;
pub mod xattr;

pub use nix::errno::Errno;

/// The result of a kernel call.
pub type Result<T> = std::result::Result<T, Errno>;
