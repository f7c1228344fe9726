//! A guest at work: QEMU with software emulation, which needs no right and no hardware beyond what
//! a build machine has.
//!
//! Invariant: it ends with this process, by its own end, or when its time is up. Its disk is
//! written to a copy that nobody sees; it has no network card.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use crate::image::Kernel;
use crate::report::Line;

/// Lines of the console that are kept for the case of a failure: those of a boot, and what was in
/// front of it, which tells why a guest went down that was not meant to.
const TAIL: usize = 250;

/// What the guest's kernel is told: where its root is, to talk to the serial line, to give up when
/// it panics (QEMU then ends), no driver that looks for hardware which is not there, and no test or
/// guard of its own that a guest without a stranger needs none of.
const COMMAND_LINE: &str = "root=/dev/vda rw console=ttyS0 loglevel=5 panic=-1 \
    cryptomgr.notests mitigations=off \
    systemd.show_status=yes modprobe.blacklist=bochs,iTCO_wdt,sr_mod,kvm_amd,powernow_k8";

/// Units that no scenario needs: each is a program or two, and starting all of them takes an emulated
/// machine longer than everything else in a boot.
const LEFT_OUT: [&str; 20] = [
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "proc-sys-fs-binfmt_misc.automount",
    "serial-getty@ttyS0.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-journal-flush.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-sysusers.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
];

/// A running guest.
#[derive(Debug)]
pub struct Machine {
    qemu: Child,
    heard: Receiver<Heard>,
    console: VecDeque<String>,
}

/// A line from the guest.
#[derive(Debug)]
enum Heard {
    Report(String),
    Console(String),
}

impl Machine {
    /// Boot a guest: its kernel, its disk, which stays as it is, and the one with the scenarios.
    ///
    /// # Errors
    /// When QEMU can't be started.
    pub fn boot(kernel: &Kernel, root: &Path, delivery: &Path) -> Result<Machine, String> {
        let drive = |path: &Path, mode: &str| {
            format!(
                "if=virtio,format=raw,{mode},file={}",
                path.display().to_string().replace(',', ",,")
            )
        };
        let mut qemu = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max"])
            .args(["-smp", "2", "-m", "2048", "-nic", "none", "-display", "none"])
            .args(["-serial", "file:/dev/stderr", "-device", "virtio-serial"])
            .args(["-chardev", "file,id=report,path=/dev/stdout"])
            .args(["-device", "virtserialport,chardev=report,name=report"])
            .args(["-drive", &drive(root, "snapshot=on,cache=unsafe")])
            .args(["-drive", &drive(delivery, "readonly=on")])
            .args([Path::new("-kernel"), &kernel.kernel, Path::new("-initrd"), &kernel.initrd])
            .args(["-append", &command_line()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("setpriv can't be started: {error}"))?;
        let (sender, heard) = channel();
        listen(qemu.stdout.take(), sender.clone(), Heard::Report);
        listen(qemu.stderr.take(), sender, Heard::Console);
        Ok(Machine { qemu, heard, console: VecDeque::new() })
    }

    /// The next line about scenarios; `None` at the guest's end.
    ///
    /// # Errors
    /// When there was none until `end`.
    pub fn next(&mut self, end: Instant) -> Result<Option<Line>, String> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok(Heard::Report(text)) => match Line::parse(&text) {
                    Some(line) => return Ok(Some(line)),
                    None => self.keep(format!("(report) {text}")),
                },
                Ok(Heard::Console(text)) => self.keep(text),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => return Err("the time is up".to_owned()),
            }
        }
    }

    fn keep(&mut self, text: String) {
        self.console.push_back(text);
        if self.console.len() > TAIL {
            self.console.pop_front();
        }
    }

    /// The last that its console showed.
    pub fn console(&self) -> impl Iterator<Item = &str> {
        self.console.iter().map(String::as_str)
    }
}

fn command_line() -> String {
    let masks = LEFT_OUT.map(|unit| format!(" systemd.mask={unit}"));
    format!("{COMMAND_LINE}{}", masks.concat())
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Send each line of a stream, cleaned of what a terminal would obey, until it ends.
fn listen(
    stream: Option<impl Read + Send + 'static>,
    sender: Sender<Heard>,
    kind: fn(String) -> Heard,
) {
    let Some(stream) = stream else { return };
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line);
            let clean = text.trim_end().chars().map(|c| if c.is_control() { '?' } else { c });
            if sender.send(kind(clean.collect())).is_err() {
                return;
            }
            line.clear();
        }
    });
}
