//! Logs of instances, written here as docs/logs.md describes them: what hostctl reads is the format,
//! not what its own writer happens to do.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Scene;

/// A start of an instance, whose log is written to.
#[derive(Debug)]
pub struct Written {
    folder: PathBuf,
    resource: Value,
    seq: u64,
    file: Option<File>,
    size: u64,
    /// A file is full at this size.
    pub room: u64,
}

impl Scene {
    /// A start of an instance of an app, which goes on behind its earlier ones.
    pub fn written(&self, app: &str, service: &str, instance: u32, version: u64) -> Written {
        let folder = self.state().join("logs").join(app).join(format!("{service}.{instance}"));
        fs::create_dir_all(&folder).unwrap();
        let resource = json!({
            "app": app, "service": service, "instance": instance, "version": version,
            "host": "box", "boot_id": "b", "started": format!("2026-11-27T09:00:{version:02}Z"),
        });
        let seq = last(&folder);
        self.own_all(&self.state().join("logs"));
        Written { folder, resource, seq, file: None, size: 0, room: u64::MAX }
    }

    fn own_all(&self, path: &Path) {
        self.own(path);
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| self.own_all(&entry.unwrap().path()));
        }
    }
}

/// The number of the last record in a folder.
fn last(folder: &Path) -> u64 {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text = files.last().map(|file| fs::read_to_string(file).unwrap()).unwrap_or_default();
    let line: Value =
        text.lines().last().map(|one| serde_json::from_str(one).unwrap()).unwrap_or_default();
    line["seq"].as_u64().unwrap_or(0)
}

impl Written {
    /// Write a record of this second of 2026-11-27T10:00, whose other keys are these.
    pub fn record(&mut self, second: u64, more: Value) {
        self.seq += 1;
        let mut record = json!({
            "v": 1, "seq": self.seq,
            "ts": format!("2026-11-27T{:02}:{:02}:{:02}.000000000Z", 10 + second / 3600, second / 60 % 60, second % 60),
            "severity": "info", "body": "", "attributes": { "stream": "stdout" },
        });
        record.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        self.line(&record);
    }

    /// Write a line of text.
    pub fn say(&mut self, second: u64, body: &str) {
        self.record(second, json!({ "body": body }));
    }

    /// Go on in a new file.
    pub fn rotate(&mut self) {
        self.file = None;
    }

    /// The files, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn line(&mut self, record: &Value) {
        let bytes = sealed(record);
        if self.size + bytes.len() as u64 > self.room {
            self.file = None;
        }
        if self.file.is_none() {
            let path = self.folder.join(format!("{:020}.log", self.seq));
            let mut file = OpenOptions::new().create_new(true).append(true).open(path).unwrap();
            let header = json!({ "v": 1, "resource": self.resource, "first_seq": self.seq });
            let header = sealed(&header);
            file.write_all(&header).unwrap();
            (self.file, self.size) = (Some(file), header.len() as u64);
        }
        self.size += bytes.len() as u64;
        self.file.as_mut().unwrap().write_all(&bytes).unwrap();
    }
}

/// A line with its checksum as the last member.
fn sealed(value: &Value) -> Vec<u8> {
    let text = value.to_string();
    let before = text.strip_suffix('}').unwrap();
    format!("{before},\"crc\":\"{:08x}\"}}\n", crc(before.as_bytes())).into_bytes()
}

/// CRC-32 of IEEE 802.3, a bit at a time.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes
        .iter()
        .fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
