//! eBPF programs and maps, and cgroups that run them (bpf(2), kernel 5.8).
//!
//! Invariant: an attached program belongs to its cgroup and outlives the process that attached it;
//! it ends with the cgroup. Never decides what a program does.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::raw::{check, descriptor};
use crate::{Errno, Result};

/// struct bpf_insn of linux/bpf.h.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation: class, size or source, mode.
    pub code: u8,
    /// Source register in the upper four bits, destination in the lower.
    pub registers: u8,
    /// Signed offset of a jump, in instructions, or of a memory access, in bytes.
    pub offset: i16,
    /// Immediate operand.
    pub immediate: i32,
}

/// Where a cgroup runs a program (enum bpf_attach_type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Packets to sockets of the cgroup.
    Ingress,
    /// Packets from sockets of the cgroup.
    Egress,
    /// bind(2) to an IPv4 address.
    Bind4,
    /// bind(2) to an IPv6 address.
    Bind6,
    /// connect(2) to an IPv4 address.
    Connect4,
    /// connect(2) to an IPv6 address, mapped ones included.
    Connect6,
    /// sendmsg(2) of an unconnected UDP socket to an IPv4 address.
    SendMessage4,
    /// sendmsg(2) of an unconnected UDP socket to an IPv6 address.
    SendMessage6,
    /// The source that recvmsg(2) tells of an IPv4 datagram.
    ReceiveMessage4,
    /// The source that recvmsg(2) tells of an IPv6 datagram.
    ReceiveMessage6,
    /// What getpeername(2) tells of an IPv4 socket.
    PeerName4,
    /// What getpeername(2) tells of an IPv6 socket.
    PeerName6,
    /// What getsockname(2) tells of an IPv4 socket.
    SocketName4,
    /// What getsockname(2) tells of an IPv6 socket.
    SocketName6,
    /// setsockopt(2).
    SetOption,
    /// socket(2) of the internet families; not accept(2).
    Create,
}

impl Hook {
    /// The number of its attach type.
    fn attach_type(self) -> u32 {
        match self {
            Hook::Ingress => 0,
            Hook::Egress => 1,
            Hook::Bind4 => 8,
            Hook::Bind6 => 9,
            Hook::Connect4 => 10,
            Hook::Connect6 => 11,
            Hook::SendMessage4 => 14,
            Hook::SendMessage6 => 15,
            Hook::ReceiveMessage4 => 19,
            Hook::ReceiveMessage6 => 20,
            Hook::PeerName4 => 29,
            Hook::PeerName6 => 30,
            Hook::SocketName4 => 31,
            Hook::SocketName6 => 32,
            Hook::SetOption => 22,
            Hook::Create => 2,
        }
    }

    /// BPF_PROG_TYPE_CGROUP_SKB, _CGROUP_SOCKOPT, _CGROUP_SOCK or _CGROUP_SOCK_ADDR.
    fn program_type(self) -> u32 {
        match self {
            Hook::Ingress | Hook::Egress => 8,
            Hook::SetOption => 25,
            Hook::Create => 9,
            _ => 18,
        }
    }
}

/// A program that the kernel has checked and taken in.
#[derive(Debug)]
pub struct Program {
    fd: OwnedFd,
    hook: Hook,
}

/// A table that programs and user space share.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Commands of bpf(2).
const MAP_CREATE: u32 = 0;
const PROG_LOAD: u32 = 5;
const PROG_ATTACH: u32 = 8;
const BTF_LOAD: u32 = 18;

/// Several programs of one hook may be attached, those of outer cgroups run too.
const ALLOW_MULTI: u32 = 1 << 1;
/// Put the program in the place of another (kernel 5.6).
const REPLACE: u32 = 1 << 2;

const MAP_TYPE_LRU_HASH: u32 = 9;
const MAP_TYPE_SK_STORAGE: u32 = 24;
/// BPF_F_NO_PREALLOC.
const NO_PREALLOC: u32 = 1;

/// BTF (Documentation/bpf/btf.rst) of one type, a 32-bit int: header, the type, its name.
const INT: [u32; 12] = [
    0x0001_eb9f_u32.to_le(),
    24,
    0,
    16,
    16,
    8,
    1,       // name: offset 1
    1 << 24, // BTF_KIND_INT
    4,       // bytes
    32,      // bits
    u32::from_le_bytes(*b"\0int"),
    0,
];

/// Bytes of the verifier's words that are kept.
const LOG: usize = 16 * 1024;

/// The part of union bpf_attr that BPF_PROG_LOAD reads, up to `expected_attach_type` (5.0).
#[repr(C)]
#[derive(Default)]
struct ProgramAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// The part of union bpf_attr that BPF_PROG_ATTACH reads, up to `replace_bpf_fd` (5.6).
#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

/// The part of union bpf_attr that BPF_MAP_CREATE needs, up to `btf_value_type_id` (4.18).
#[repr(C)]
#[derive(Default)]
struct MapAttr {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
    map_ifindex: u32,
    btf_fd: u32,
    btf_key_type_id: u32,
    btf_value_type_id: u32,
}

/// The part of union bpf_attr that BPF_BTF_LOAD reads; older kernels want what they do not know to
/// be zero, so nothing here may be padding.
#[repr(C)]
struct BtfAttr {
    btf: u64,
    btf_log_buf: u64,
    btf_size: u32,
    btf_log_size: u32,
    btf_log_level: u32,
    /// Written to by the kernel (6.4) where there is a log.
    btf_log_true_size: u32,
}

/// Have the kernel check a program for a hook.
///
/// # Errors
/// `EPERM` without CAP_BPF and CAP_NET_ADMIN, `EINVAL` or `EACCES` for a program that the kernel
/// refuses: [`refusal`] says why.
pub fn load(hook: Hook, name: &CStr, code: &[Instruction]) -> Result<Program> {
    load_with(hook, name, code, &mut [])
}

/// What the kernel's verifier has to say against a program.
pub fn refusal(hook: Hook, code: &[Instruction]) -> String {
    let mut log = vec![0; LOG];
    let _ = load_with(hook, c"", code, &mut log);
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..end]).into_owned()
}

fn load_with(hook: Hook, name: &CStr, code: &[Instruction], log: &mut [u8]) -> Result<Program> {
    let mut attr = ProgramAttr {
        prog_type: hook.program_type(),
        insn_cnt: u32::try_from(code.len()).map_err(|_| Errno::E2BIG)?,
        insns: code.as_ptr() as u64,
        license: c"Apache-2.0 OR MIT".as_ptr() as u64,
        expected_attach_type: hook.attach_type(),
        ..ProgramAttr::default()
    };
    // The last byte stays 0, as the kernel requires.
    for (slot, byte) in attr.prog_name[..15].iter_mut().zip(name.to_bytes()) {
        *slot = *byte;
    }
    if !log.is_empty() {
        attr.log_level = 1;
        attr.log_size = log.len() as u32;
        attr.log_buf = log.as_mut_ptr() as u64;
    }
    // SAFETY: `attr` is a valid load attribute of its size; code, licence and log are live for the
    // call and as long as it says; a new descriptor returns.
    let fd = unsafe {
        let attr = &raw const attr;
        descriptor(libc::syscall(libc::SYS_bpf, PROG_LOAD, attr, size_of::<ProgramAttr>()))
    }?;
    Ok(Program { fd, hook })
}

/// Run a program at its hook for every process of a cgroup v2 folder, beside those of outer
/// cgroups: all of them must agree. In the place of `old`, if there is one, with no moment between.
///
/// # Errors
/// `EPERM` where an outer cgroup lets no inner one have programs; `ENOENT` when `old` is not
/// attached.
pub fn attach(cgroup: BorrowedFd<'_>, program: &Program, old: Option<&Program>) -> Result<()> {
    let attr = AttachAttr {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_bpf_fd: program.fd.as_raw_fd() as u32,
        attach_type: program.hook.attach_type(),
        attach_flags: if old.is_some() { ALLOW_MULTI | REPLACE } else { ALLOW_MULTI },
        replace_bpf_fd: old.map_or(0, |old| old.fd.as_raw_fd() as u32),
    };
    let attr = &raw const attr;
    // SAFETY: `attr` is a valid attach attribute of its size, with descriptors that are open.
    check(unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, attr, size_of::<AttachAttr>()) })?;
    Ok(())
}

/// A hash table of at most `entries` entries that forgets the one unused for longest.
///
/// # Errors
/// `EPERM` without CAP_BPF, `ENOMEM`, `EINVAL` for a size of 0.
pub fn recent(key_size: u32, value_size: u32, entries: u32) -> Result<Map> {
    let attr = MapAttr {
        map_type: MAP_TYPE_LRU_HASH,
        key_size,
        value_size,
        max_entries: entries,
        ..MapAttr::default()
    };
    create(&attr)
}

/// A table that keeps a 32-bit number for each socket, as long as that lives (kernel 5.2).
///
/// # Errors
/// As [`recent`].
pub fn of_sockets() -> Result<Map> {
    let attr = BtfAttr {
        btf: INT.as_ptr() as u64,
        btf_log_buf: 0,
        // The name ends with its NUL, after five bytes.
        btf_size: 24 + 16 + 8,
        btf_log_size: 0,
        btf_log_level: 0,
        btf_log_true_size: 0,
    };
    // SAFETY: `attr` is a valid attribute of its size that points at as many bytes as it says; a
    // new descriptor returns.
    let types = unsafe {
        let attr = &raw const attr;
        descriptor(libc::syscall(libc::SYS_bpf, BTF_LOAD, attr, size_of::<BtfAttr>()))
    }?;
    create(&MapAttr {
        map_type: MAP_TYPE_SK_STORAGE,
        key_size: 4,
        value_size: 4,
        map_flags: NO_PREALLOC,
        btf_fd: types.as_raw_fd() as u32,
        btf_key_type_id: 1,
        btf_value_type_id: 1,
        ..MapAttr::default()
    })
}

fn create(attr: &MapAttr) -> Result<Map> {
    // SAFETY: `attr` is a valid map attribute of its size; a new descriptor returns.
    let fd = unsafe {
        let attr = &raw const *attr;
        descriptor(libc::syscall(libc::SYS_bpf, MAP_CREATE, attr, size_of::<MapAttr>()))
    }?;
    Ok(Map { fd })
}
