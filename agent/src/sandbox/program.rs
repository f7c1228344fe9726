//! Finding and starting the program, from inside the finished sandbox.
//!
//! Invariant: whatever would make execve(2) fail with a riddle is found out before it and said in
//! words. Runs as the program's user, behind every wall, so it sees what the program would see.

use std::ffi::{CString, OsStr};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use host_sys::Errno;
use host_sys::file::{self, Kind};

use super::message::Failure;
use super::step::Program;

/// Why a program could not be started.
#[derive(Debug)]
pub(super) struct StartError {
    /// What the kernel said, if it was the kernel.
    pub errno: Option<Errno>,
    /// What is wrong, in words.
    pub detail: String,
}

impl StartError {
    pub(super) fn new(errno: Errno, detail: String) -> Self {
        StartError { errno: Some(errno), detail }
    }

    /// The failure of the step with this index, which starts the program.
    pub(super) fn at(self, step: usize) -> Failure {
        Failure { step: step as u16, errno: self.errno, detail: self.detail }
    }
}

impl From<Errno> for StartError {
    fn from(errno: Errno) -> Self {
        StartError { errno: Some(errno), detail: String::new() }
    }
}

/// Replace this process by the program, which is told of the `sockets` passed to it. Returns only on
/// failure.
pub(super) fn start(program: &Program, sockets: usize) -> StartError {
    match prepare(program, sockets) {
        Err(error) => error,
        Ok((path, arguments, environment)) => {
            let Err(errno) = host_sys::process::exec(&path, &arguments, &environment);
            let shown = path.to_string_lossy();
            let detail = match errno {
                Errno::ENOEXEC => format!(
                    "{shown} is neither a program for this machine nor a script with #! in its first line"
                ),
                Errno::EACCES => format!(
                    "{shown} may not be executed by the app's user: its mode forbids it, or it lies in a place granted without the right to execute"
                ),
                _ => format!("{shown} can't be executed"),
            };
            StartError::new(errno, detail)
        }
    }
}

type Prepared = (CString, Vec<CString>, Vec<CString>);

fn prepare(program: &Program, sockets: usize) -> Result<Prepared, StartError> {
    std::env::set_current_dir(&program.dir).map_err(|error| {
        let dir = program.dir.display();
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        let detail = match errno {
            Errno::ENOENT => {
                format!("the working directory {dir} is not in view; grant it in [access] read")
            }
            _ => format!("the working directory {dir} can't be entered by the app's user"),
        };
        StartError::new(errno, detail)
    })?;
    let path = locate(program)?;
    check(&path, 0)?;
    let strings = |items: Vec<Vec<u8>>| {
        items.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>().map_err(|_| {
            StartError::new(Errno::EINVAL, "an argument or variable contains a NUL".to_owned())
        })
    };
    let arguments = strings(program.run.iter().map(|word| word.as_bytes().to_vec()).collect())?;
    let mut environment: Vec<Vec<u8>> =
        program.env.iter().map(|(name, value)| format!("{name}={value}").into()).collect();
    if sockets > 0 {
        environment.push(format!("LISTEN_PID={}", host_sys::process::pid()).into());
    }
    let environment = strings(environment)?;
    let path = strings(vec![path.as_os_str().as_bytes().to_vec()])?.remove(0);
    Ok((path, arguments, environment))
}

/// The program's path: as given if it has a slash, else the first match along `$PATH`.
fn locate(program: &Program) -> Result<PathBuf, StartError> {
    let name = program.run.first().map(String::as_str).unwrap_or_default();
    if name.contains('/') {
        return Ok(program.dir.join(name).components().collect());
    }
    let search = program.env.iter().find(|(name, _)| name == "PATH").map_or("", |(_, path)| path);
    search
        .split(':')
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            let detail = format!("no program {name} along PATH={search}; give its path, and grant it in [access] read if it is not in /usr");
            StartError::new(Errno::ENOENT, detail)
        })
}

/// Look at a file as execve(2) would, and at the interpreter it asks for.
fn check(path: &Path, depth: u8) -> Result<(), StartError> {
    let shown = path.display();
    let opened = match file::open_for_reading(path) {
        // A program may be executable without being readable; then only the kernel can tell more.
        Err(Errno::EACCES) => return Ok(()),
        Err(errno) => {
            let detail = match errno {
                Errno::ENOENT => format!("{shown} does not exist inside the sandbox"),
                _ => format!("{shown} can't be opened"),
            };
            return Err(StartError::new(errno, detail));
        }
        Ok(opened) => opened,
    };
    let status = file::status(opened.as_fd())
        .map_err(|errno| StartError::new(errno, format!("{shown} can't be examined")))?;
    if status.kind != Kind::File {
        return Err(StartError::new(Errno::EACCES, format!("{shown} is not a file")));
    }
    // Through /proc/self/exe a program could become a hostctl that it then overwrites
    // (CVE-2019-5736).
    let own = file::open_for_reading(Path::new("/proc/self/exe"))
        .and_then(|own| file::status(own.as_fd()));
    if own.is_ok_and(|own| own.identity == status.identity) {
        return Err(StartError::new(Errno::EACCES, format!("{shown} is hostctl itself")));
    }
    if status.mode & 0o111 == 0 {
        let detail = format!("{shown} is not executable; chmod +x {shown}");
        return Err(StartError::new(Errno::EACCES, detail));
    }
    let mut head = Vec::with_capacity(4096);
    std::fs::File::from(opened)
        .take(4096)
        .read_to_end(&mut head)
        .map_err(|_| StartError::new(Errno::EIO, format!("{shown} can't be read")))?;
    match interpreter(&head) {
        Some(wanted) if !Path::new(&wanted).exists() => {
            let detail = format!(
                "{shown} needs its interpreter {}, which is not in view; use base = \"system\" or grant it in [access] read",
                Path::new(&wanted).display()
            );
            Err(StartError::new(Errno::ENOENT, detail))
        }
        Some(wanted) if depth < 4 && head.starts_with(b"#!") => {
            check(Path::new(&wanted), depth + 1)
        }
        _ => Ok(()),
    }
}

/// The interpreter named by an ELF program header (PT_INTERP, elf(5)) or a `#!` line.
fn interpreter(head: &[u8]) -> Option<&OsStr> {
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?;
        let word = line.split(|byte| byte.is_ascii_whitespace()).find(|word| !word.is_empty())?;
        return Some(OsStr::from_bytes(word));
    }
    elf_interpreter(head)
}

/// PT_INTERP of a 64-bit little-endian ELF file whose program headers lie in `head`.
fn elf_interpreter(head: &[u8]) -> Option<&OsStr> {
    const INTERPRETER: u32 = 3;
    let word = |at: usize| Some(u16::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let quad =
        |at: usize| usize::try_from(u64::from_le_bytes(*head.get(at..)?.first_chunk()?)).ok();
    // Magic, 64 bits, little-endian.
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (quad(32)?, word(54)?, word(56)?);
    for index in 0..usize::from(count) {
        let header = table.checked_add(index.checked_mul(usize::from(size))?)?;
        let kind = u32::from_le_bytes(*head.get(header..)?.first_chunk()?);
        if kind == INTERPRETER {
            let (offset, length) = (quad(header + 8)?, quad(header + 32)?);
            let path = head.get(offset..offset.checked_add(length)?)?;
            return Some(OsStr::from_bytes(path.strip_suffix(b"\0").unwrap_or(path)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_read_from_scripts_and_programs() {
        assert_eq!(interpreter(b"#! /bin/sh -e\nx"), Some(OsStr::new("/bin/sh")));
        assert_eq!(interpreter(b"#!\n"), None);
        assert_eq!(interpreter(b"plain"), None);
        let own = std::fs::read("/proc/self/exe").unwrap();
        let found = interpreter(&own[..4096]);
        assert!(found.is_none_or(|path| path.to_string_lossy().contains("ld-")), "{found:?}");
    }

    #[test]
    fn a_torn_program_header_is_no_interpreter() {
        let mut own = std::fs::read("/proc/self/exe").unwrap();
        own.truncate(4096);
        for length in 0..own.len() {
            interpreter(&own[..length]);
        }
        for at in 0..512 {
            let mut torn = own.clone();
            torn[at] ^= 0xff;
            interpreter(&torn);
        }
    }
}
