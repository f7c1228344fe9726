use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use manifest_spec::log::Resource;
use serde_json::Value;

use super::super::Codec;
use super::super::line::Subject;
use super::super::tests::{record, resource};
use super::*;
use crate::logs::route::batch::{Batch, Gathering, Piece};

/// A directory of a test's own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("file-sink-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        // Its way must be free of symbolic links.
        Folder(path.canonicalize().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Numbers in a file, by service and instance; every line but the first is a record.
    fn seqs(&self, name: &str) -> Vec<u64> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.ends_with('\n'), "{name} ends with a whole line");
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert!(lines.next().unwrap()["resource"].is_object(), "{name} begins with a header");
        lines.map(|line| line["seq"].as_u64().unwrap_or_else(|| panic!("{line}"))).collect()
    }

    /// The numbers in all files, the oldest first.
    fn all(&self, name: &str) -> Vec<u64> {
        let copies = (1..).take_while(|n| self.path(&format!("{name}.{n}")).exists()).count();
        let older = (1..=copies).rev().map(|n| self.seqs(&format!("{name}.{n}")));
        older.chain([self.seqs(name)]).flatten().collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn batch_of(resource: &Resource, seqs: std::ops::RangeInclusive<u64>) -> Batch {
    let mut gathering = Gathering::default();
    for seq in seqs {
        let record = record(seq, &format!("line {seq}"));
        let subject = Subject { resource, record: &record, line: b"" };
        Codec::NamedLines.append(&subject, &mut gathering.bytes);
        let end = gathering.bytes.len();
        let piece = Piece { first: seq, seq, end, place: None, next: None, mark: 0, time: 0 };
        gathering.pieces.push(piece);
    }
    gathering.close(Arc::new(resource.clone()))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn deliver(sink: &mut FileSink, seqs: std::ops::RangeInclusive<u64>) -> Answer {
    let batch = batch_of(&resource(), seqs);
    runtime().block_on(sink.deliver(&batch.part(0..batch.pieces().len())))
}

#[test]
fn records_are_lines_with_the_names_of_their_instance() {
    let folder = Folder::new("lines");
    let mut sink = FileSink::new(&folder.path("app.log"), None);
    sink.begin();
    assert_eq!(deliver(&mut sink, 1..=3), Answer::taken(3));
    assert_eq!(deliver(&mut sink, 4..=4), Answer::taken(1));
    assert_eq!(folder.seqs("app.log"), [1, 2, 3, 4]);
    let text = fs::read_to_string(folder.path("app.log")).unwrap();
    let line: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&line["service"], &line["instance"]), (&"web".into(), &2.into()));
    let mode = fs::metadata(folder.path("app.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0);
    assert_eq!(sink.mark().unwrap().size, text.len() as u64);
}

#[test]
fn files_are_rotated_and_no_record_is_cut_or_lost_on_the_way() {
    let folder = Folder::new("rotation");
    let rotation = Rotation { bytes: 1024, copies: 1000 };
    let mut sink = FileSink::new(&folder.path("app.log"), Some(rotation));
    sink.begin();
    for first in (1..=200).step_by(7) {
        assert_eq!(deliver(&mut sink, first..=first + 6), Answer::taken(7));
    }
    assert_eq!(folder.all("app.log"), (1..=203).collect::<Vec<_>>());
    for entry in fs::read_dir(&folder.0).unwrap() {
        assert!(entry.unwrap().metadata().unwrap().len() <= 1024);
    }
    // With as many copies as are kept, the oldest goes.
    let kept = Rotation { bytes: 1024, copies: 3 };
    let mut sink = FileSink::new(&folder.path("few.log"), Some(kept));
    sink.begin();
    assert_eq!(deliver(&mut sink, 1..=100), Answer::taken(100));
    assert!(folder.path("few.log.3").exists() && !folder.path("few.log.4").exists());
    let all = folder.all("few.log");
    assert_eq!(all, (all[0]..=100).collect::<Vec<_>>());
    let none = Rotation { bytes: 1024, copies: 0 };
    let mut sink = FileSink::new(&folder.path("none.log"), Some(none));
    sink.begin();
    assert_eq!(deliver(&mut sink, 1..=100), Answer::taken(100));
    assert_eq!(folder.seqs("none.log").last(), Some(&100));
    assert!(!folder.path("none.log.1").exists());
}

#[test]
fn a_line_that_is_longer_than_a_file_has_one_of_its_own() {
    let folder = Folder::new("long");
    let rotation = Rotation { bytes: 10, copies: 9 };
    let mut sink = FileSink::new(&folder.path("app.log"), Some(rotation));
    sink.begin();
    assert_eq!(deliver(&mut sink, 1..=3), Answer::taken(3));
    for (name, seq) in [("app.log.2", 1), ("app.log.1", 2), ("app.log", 3)] {
        assert_eq!(folder.seqs(name), [seq]);
    }
}

#[test]
fn an_interrupted_rotation_is_gone_on_with() {
    let folder = Folder::new("interrupted");
    let rotation = Rotation { bytes: 400, copies: 9 };
    let mut sink = FileSink::new(&folder.path("app.log"), Some(rotation));
    sink.begin();
    deliver(&mut sink, 1..=6);
    let before = folder.all("app.log");
    // As if killed after the copies were moved, and before the file was.
    let count = (1..).take_while(|n| folder.path(&format!("app.log.{n}")).exists()).count();
    for number in (1..=count).rev() {
        let name = |n| folder.path(&format!("app.log.{n}"));
        fs::rename(name(number), name(number + 1)).unwrap();
    }
    deliver(&mut sink, 7..=8);
    assert_eq!(folder.all("app.log"), [before, vec![7, 8]].concat());
    // And after the file was moved, before there was a new one.
    fs::rename(folder.path("app.log"), folder.path("app.log.0")).unwrap();
    deliver(&mut sink, 9..=9);
    assert_eq!(folder.seqs("app.log"), [9]);
}

#[test]
fn several_instances_share_a_file_and_its_rotation() {
    let folder = Folder::new("shared");
    let path = folder.path("app.log");
    let threads: Vec<_> = (1..=4_u32)
        .map(|instance| {
            let path = path.clone();
            std::thread::spawn(move || {
                let rotation = Rotation { bytes: 3000, copies: 1000 };
                let mut sink = FileSink::new(&path, Some(rotation));
                sink.begin();
                let resource = Resource { instance, ..resource() };
                let runtime = runtime();
                for first in (1..=500).step_by(5) {
                    let batch = batch_of(&resource, first..=first + 4);
                    let answer = runtime.block_on(sink.deliver(&batch.part(0..5)));
                    assert_eq!(answer, Answer::taken(5));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let copies = (1..).take_while(|n| folder.path(&format!("app.log.{n}")).exists()).count();
    let names = (1..=copies).rev().map(|n| format!("app.log.{n}")).chain(["app.log".to_owned()]);
    let mut seqs = vec![Vec::new(); 5];
    for name in names {
        folder.seqs(&name);
        let text = fs::read_to_string(folder.path(&name)).unwrap();
        assert!(text.len() <= 3000);
        for line in text.lines().skip(1) {
            let line: Value = serde_json::from_str(line).unwrap();
            let instance = line["instance"].as_u64().unwrap() as usize;
            seqs[instance].push(line["seq"].as_u64().unwrap());
        }
    }
    for seqs in &seqs[1..] {
        assert_eq!(*seqs, (1..=500).collect::<Vec<_>>());
    }
}

/// As a process that was killed leaves it: `written` records are in the file, `noted` in the mark.
fn killed(folder: &Folder, noted: u64, written: u64, rotation: Option<Rotation>) -> Option<Mark> {
    let mut sink = FileSink::new(&folder.path("app.log"), rotation);
    sink.begin();
    let mut mark = sink.mark();
    if noted > 0 {
        deliver(&mut sink, 1..=noted);
        mark = sink.mark();
    }
    if written > noted {
        deliver(&mut sink, noted + 1..=written);
    }
    mark
}

#[test]
fn after_a_kill_each_record_is_in_the_file_once() {
    for rotation in [None, Some(Rotation { bytes: 700, copies: 1000 })] {
        for (noted, written) in [(0, 0), (0, 5), (5, 5), (5, 9), (5, 40)] {
            let folder = Folder::new("killed");
            let mark = killed(&folder, noted, written, rotation);
            // Another instance wrote after it.
            let other = Resource { instance: 7, ..resource() };
            let mut theirs = FileSink::new(&folder.path("app.log"), rotation);
            let batch = batch_of(&other, 1000..=1001);
            runtime().block_on(theirs.deliver(&batch.part(0..2)));
            let mut sink = FileSink::new(&folder.path("app.log"), rotation);
            sink.resume(mark, 60);
            // In two parts, the first smaller than what was written.
            assert_eq!(deliver(&mut sink, noted + 1..=noted + 3), Answer::taken(3));
            assert_eq!(deliver(&mut sink, noted + 4..=60), Answer::taken(57 - noted as usize));
            let ours: Vec<u64> =
                folder.all("app.log").into_iter().filter(|seq| *seq < 1000).collect();
            assert_eq!(ours, (1..=60).collect::<Vec<_>>(), "{rotation:?} {noted} {written}");
        }
    }
}

#[test]
fn wherever_a_write_was_cut_each_record_is_in_the_file_once() {
    let folder = Folder::new("cut");
    let path = folder.path("app.log");
    let mark = killed(&folder, 2, 5, None);
    let whole = fs::read(&path).unwrap();
    let noted = mark.unwrap().size as usize;
    for cut in (noted..whole.len()).step_by(3) {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut sink = FileSink::new(&path, None);
        sink.resume(mark, 8);
        assert_eq!(deliver(&mut sink, 3..=8), Answer::taken(6));
        assert_eq!(folder.seqs("app.log"), (1..=8).collect::<Vec<_>>(), "cut at {cut}");
    }
}

#[test]
fn lines_that_are_not_ours_stay() {
    let folder = Folder::new("foreign");
    let path = folder.path("notes.txt");
    fs::write(&path, "a note\n{\"seq\": 99}\nand one without an end").unwrap();
    let mut sink = FileSink::new(&path, None);
    sink.begin();
    assert_eq!(deliver(&mut sink, 1..=1), Answer::taken(1));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("a note\n{\"seq\": 99}\nand one without an end\n{\"v\":1,\"seq\":1"));
}

#[test]
fn records_that_the_log_has_lost_do_not_hide_new_ones_of_their_numbers() {
    let folder = Folder::new("lost");
    // Nine were written; then the power failed, and the log had six of them.
    let mark = killed(&folder, 5, 9, None);
    let mut sink = FileSink::new(&folder.path("app.log"), None);
    sink.resume(mark, 6);
    assert_eq!(deliver(&mut sink, 6..=8), Answer::taken(3));
    assert_eq!(folder.seqs("app.log"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8]);
}

#[test]
fn nobody_is_led_away_and_everything_that_fails_is_said() {
    let folder = Folder::new("links");
    fs::write(folder.path("real.log"), "").unwrap();
    symlink("real.log", folder.path("link.log")).unwrap();
    fs::create_dir(folder.path("directory")).unwrap();
    symlink("directory", folder.path("linked")).unwrap();
    nix_fifo(&folder.path("pipe"));
    for (name, said) in [
        ("link.log", "leads through a symbolic link; name the file itself"),
        ("linked/app.log", "leads through a symbolic link; name the file itself"),
        ("directory", "is a directory"),
        ("none/app.log", "no such file or directory"),
        ("pipe", "is not a file"),
    ] {
        let mut sink = FileSink::new(&folder.path(name), None);
        sink.begin();
        let answer = deliver(&mut sink, 1..=2);
        assert_eq!((answer.taken, answer.verdict), (0, Verdict::Failed), "{name}");
        assert_eq!(answer.said, said, "{name}");
    }
    assert_eq!(fs::read(folder.path("real.log")).unwrap(), b"");
}

fn nix_fifo(path: &Path) {
    #[allow(clippy::disallowed_methods)] // a test makes what it is about
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn what_is_locked_is_waited_for_and_then_tried_again() {
    let folder = Folder::new("locked");
    let path = folder.path("app.log");
    let held = File::create(&path).unwrap();
    assert!(try_lock(&held, Share::Alone).unwrap());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let mut sink = FileSink::new(&path, None);
    sink.begin();
    let batch = batch_of(&resource(), 1..=1);
    let answer = runtime.unwrap().block_on(sink.deliver(&batch.part(0..1)));
    assert_eq!(answer, Answer::failed("another process has it locked"));
    drop(held);
    assert_eq!(deliver(&mut sink, 1..=1), Answer::taken(1));
}

#[test]
fn a_device_gets_lines_alone() {
    let mut sink = FileSink::new(Path::new("/dev/null"), Some(Rotation { bytes: 1, copies: 1 }));
    sink.begin();
    assert_eq!(deliver(&mut sink, 1..=9), Answer::taken(9));
    assert_eq!(fs::metadata("/dev/null").unwrap().len(), 0);
}

#[test]
fn a_full_disk_takes_what_it_takes_and_the_rest_comes_later() {
    let full = FileSink::new(Path::new("/dev/full"), None);
    let answer = deliver(&mut { full }, 1..=2);
    assert_eq!(answer, Answer::failed("no space left on device"));
}
