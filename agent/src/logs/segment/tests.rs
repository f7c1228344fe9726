//! What a log promises, whatever happens to its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use manifest_spec::log::{Resource, attribute};
use proptest::prelude::*;

use super::lines::LONGEST;
use super::*;
use crate::logs::shape::{Draft, Stream, line};

/// The folder of an instance, below a folder for its app; removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("segments-{}-{number}", std::process::id());
        let app = std::env::temp_dir().join(name);
        fs::create_dir_all(app.join("web.1")).unwrap();
        Scratch(app)
    }

    fn folder(&self) -> PathBuf {
        self.0.join("web.1")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn resource(started: u64) -> Resource {
    Resource {
        app: "hello".into(),
        service: "web".into(),
        instance: 1,
        version: Some(7),
        host: "h".into(),
        boot_id: "b".into(),
        started: format!("2026-01-01T00:00:{started:02}.000000Z"),
    }
}

/// Append a record with this number and body, and whatever else is said of it.
fn record(lines: &mut Vec<u8>, seq: u64, body: &str, fields: &[(&str, u64)]) {
    let mut draft = Draft::plain(Stream::Output, body.into(), seq * 10);
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
    draft.attributes.fields.extend(fields);
    line::append(lines, seq, "2026-01-02T03:04:05.000000006Z", &draft);
}

/// Write records with these bodies; what could not be written fails the test.
fn write(writer: &mut Writer, bodies: &[&str]) {
    let mut lines = Vec::new();
    for (seq, body) in (writer.next_seq()..).zip(bodies) {
        record(&mut lines, seq, body, &[]);
    }
    let written = writer.write(writer.next_seq(), &lines, bodies.len() as u64);
    assert_eq!((written.records, written.bytes), (bodies.len() as u64, lines.len()));
    assert!(written.error.is_none(), "{written:?}");
}

fn open(folder: &Path, started: u64, room: u64) -> Writer {
    Writer::open(folder, resource(started), room).unwrap().0
}

/// Everything a reader tells from where it stands: `7 text`, `missing 1-6`, `damaged 2`.
fn told(reader: &mut Reader) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        all.push(match reader.next().unwrap() {
            Step::Entry(entry) => {
                assert_eq!(line::read(&entry.text), Ok(line::Line::Record(entry.record.clone())));
                assert_eq!(reader.place(), entry.next);
                format!("{} {}", entry.record.seq, entry.record.body)
            }
            Step::Missing { first, last } => format!("missing {first}-{last}"),
            Step::Damaged { lines, .. } => format!("damaged {lines}"),
            Step::End => return all,
        });
    }
}

fn all(folder: &Path) -> Vec<String> {
    told(&mut Reader::open(folder).unwrap())
}

#[test]
fn a_segment_is_lines_that_any_tool_can_read() {
    let scratch = Scratch::new();
    let mut writer = open(&scratch.folder(), 1, 1 << 20);
    write(&mut writer, &["one", "two \"\u{fffd}\""]);
    let text = fs::read_to_string(path(&scratch.folder(), 1)).unwrap();
    let expected = concat!(
        r#"{"v":1,"resource":{"app":"hello","service":"web","instance":1,"version":7,"#,
        r#""host":"h","boot_id":"b","started":"2026-01-01T00:00:01.000000Z"},"first_seq":1,"#,
        r#""crc":"053f08fd"}"#,
        "\n",
        r#"{"v":1,"seq":1,"ts":"2026-01-02T03:04:05.000000006Z","severity":"info","body":"one","#,
        r#""attributes":{"stream":"stdout"},"at":10,"crc":"eb75ebda"}"#,
        "\n",
        r#"{"v":1,"seq":2,"ts":"2026-01-02T03:04:05.000000006Z","severity":"info","#,
        "\"body\":\"two \\\"\u{fffd}\\\"\",",
        r#""attributes":{"stream":"stdout"},"at":20,"crc":"b9549a12"}"#,
        "\n",
    );
    assert_eq!(text, expected);
}

#[test]
fn a_start_goes_on_in_its_segment_and_the_next_begins_one() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    write(&mut open(&folder, 1, 1 << 20), &["a", "b"]);
    let (mut again, last) = Writer::open(&folder, resource(1), 1 << 20).unwrap();
    assert_eq!(last.map(|record| (record.seq, record.at)), Some((2, Some(20))));
    write(&mut again, &["c"]);
    let (mut next, last) = Writer::open(&folder, resource(2), 1 << 20).unwrap();
    assert_eq!((next.next_seq(), last), (4, None));
    write(&mut next, &["d"]);
    assert_eq!(list(&folder).unwrap(), [1, 4]);
    let mut reader = Reader::open(&folder).unwrap();
    let mut starts = Vec::new();
    while let Step::Entry(entry) = reader.next().unwrap() {
        starts.push((entry.record.body, entry.resource.started.clone()));
    }
    let started = |text: &str, second| (text.to_owned(), resource(second).started);
    assert_eq!(starts, [started("a", 1), started("b", 1), started("c", 1), started("d", 2)]);
}

#[test]
fn a_torn_end_is_cut_wherever_it_was_torn() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    write(&mut open(&folder, 1, 1 << 20), &["one", "two", "three", "four"]);
    let file = path(&folder, 1);
    let whole = fs::read(&file).unwrap();
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', &whole).map(|end| end + 1).collect();
    for length in 0..=whole.len() {
        for started in [1, 2] {
            for entry in list(&folder).unwrap() {
                fs::remove_file(path(&folder, entry)).unwrap();
            }
            fs::write(&file, &whole[..length]).unwrap();
            // A reader that has seen all there is goes on with what comes instead of the torn end.
            let mut follower = Reader::open(&folder).unwrap();
            let mut seen = told(&mut follower);
            let mut writer = open(&folder, started, 1 << 20);
            write(&mut writer, &["more"]);
            seen.extend(told(&mut follower));

            let kept = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
            let bodies = ["one", "two", "three", "four"].into_iter().take(kept).chain(["more"]);
            let expected: Vec<_> =
                (1..).zip(bodies).map(|(seq, body)| format!("{seq} {body}")).collect();
            assert_eq!(all(&folder), expected, "{length} bytes, start {started}");
            assert_eq!(seen, expected, "followed; {length} bytes, start {started}");
        }
    }
}

/// Killed while it wrote the first record of a segment, or the header.
#[test]
fn a_segment_that_was_only_just_begun_is_gone_on_with_after_the_one_before() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    write(&mut open(&folder, 1, 300), &["one", "two"]);
    write(&mut open(&folder, 1, 300), &["three", "four"]);
    let [_, last] = list(&folder).unwrap()[..] else { panic!("two segments") };
    let text = fs::read(path(&folder, last)).unwrap();
    let header = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for kept in [0, 10, header, header + 10] {
        fs::write(path(&folder, last), &text[..kept]).unwrap();
        let (mut writer, found) = Writer::open(&folder, resource(1), 300).unwrap();
        assert_eq!((found.map(|record| record.seq), writer.next_seq()), (Some(2), 3), "{kept}");
        // More than a segment has room for.
        write(&mut writer, &["three", "four"]);
        write(&mut writer, &["five"]);
        assert_eq!(all(&folder), ["1 one", "2 two", "3 three", "4 four", "5 five"]);
        fs::remove_file(path(&folder, 5)).unwrap();
    }
}

#[test]
fn a_changed_byte_costs_the_records_it_is_in_and_they_are_counted() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let bodies = ["one", "two", "three", "four"];
    write(&mut open(&folder, 1, 1 << 20), &bodies);
    write(&mut open(&folder, 2, 1 << 20), &["later"]);
    let file = path(&folder, 1);
    let whole = fs::read(&file).unwrap();
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', &whole).collect();
    for place in 0..whole.len() {
        for change in [0x01, 0x20, whole[place] ^ b'\n'] {
            if change == 0 {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[place] ^= change;
            fs::write(&file, &bytes).unwrap();
            // Line 0 is the header. A line end is also the next line's loss.
            let line = ends.iter().filter(|end| **end < place).count();
            let hit = [line, line + usize::from(whole[place] == b'\n')];
            let lost: Vec<usize> = (1..=4).filter(|line| hit.contains(line)).collect();
            let mut expected = Vec::new();
            for (line, body) in (1..).zip(bodies) {
                match lost.first() {
                    _ if line == 1 && hit[0] == 0 && lost.is_empty() => {
                        expected.extend(["damaged 0".to_owned(), format!("{line} {body}")]);
                    }
                    Some(first) if *first == line => {
                        expected.push(format!("damaged {}", lost.len()));
                    }
                    _ if lost.contains(&line) => {}
                    _ => expected.push(format!("{line} {body}")),
                }
            }
            expected.push("5 later".to_owned());
            let mut reader = Reader::open(&folder).unwrap();
            // The numbers tell only from where on is known what comes.
            reader.seek_seq(1).unwrap();
            assert_eq!(told(&mut reader), expected, "byte {place} ^ {change:#x}");
        }
    }
}

#[test]
fn what_was_deleted_before_it_was_read_is_missing_by_number() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let mut writer = open(&folder, 1, 1);
    write(&mut writer, &["a", "b"]);
    write(&mut writer, &["c"]);
    let mut reader = Reader::open(&folder).unwrap();
    assert!(matches!(reader.next().unwrap(), Step::Entry(_)));
    let place = reader.place();
    fs::remove_file(path(&folder, 1)).unwrap();
    // Who has it open still reads it; who comes back does not.
    assert_eq!(told(&mut reader), ["2 b", "3 c"]);
    reader.seek(place).unwrap();
    assert_eq!(told(&mut reader), ["missing 2-2", "3 c"]);
    reader.seek_seq(1).unwrap();
    assert_eq!(told(&mut reader), ["missing 1-2", "3 c"]);
    // Who begins with the oldest does not miss what was before it.
    assert_eq!(all(&folder), ["3 c"]);
}

#[test]
fn a_record_that_stands_for_lost_ones_leaves_nothing_missing() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let mut writer = open(&folder, 1, 1 << 20);
    write(&mut writer, &["a"]);
    let mut lines = Vec::new();
    record(&mut lines, 5, "gap", &[(attribute::GAP, 4), (attribute::GAP_FIRST, 2)]);
    assert_eq!(writer.write(5, &lines, 1).records, 1);
    write(&mut writer, &["b"]);
    assert_eq!(all(&folder), ["1 a", "5 gap", "6 b"]);
}

#[test]
fn damage_at_the_very_end_is_told_and_what_comes_later_is_read() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let mut writer = open(&folder, 1, 1 << 20);
    write(&mut writer, &["a"]);
    let file = path(&folder, 1);
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"v\":1,\"crc\":\"00000000\"}\n");
    bytes.extend(std::iter::repeat_n(b'x', LONGEST + 100_000));
    bytes.push(b'\n');
    fs::write(&file, &bytes).unwrap();
    let mut reader = Reader::open(&folder).unwrap();
    assert_eq!(told(&mut reader), ["1 a", "damaged 2"]);
    assert_eq!(told(&mut reader), [""; 0]);
    write(&mut writer, &["b"]);
    assert_eq!(told(&mut reader), ["2 b"]);
}

#[test]
fn last_records_are_counted_over_segments_and_without_headers() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    for start in 0..4 {
        write(&mut open(&folder, start, 1 << 20), &["x", "y", "z"][..=(start as usize % 3)]);
    }
    let everything = all(&folder);
    assert_eq!(everything.len(), 7);
    let mut reader = Reader::open(&folder).unwrap();
    for count in 0..=9 {
        reader.seek_last(count).unwrap();
        let expected = &everything[7_usize.saturating_sub(count as usize)..];
        assert_eq!(told(&mut reader), expected, "{count}");
    }
    for seq in 1..=8 {
        reader.seek_seq(seq).unwrap();
        assert_eq!(told(&mut reader), everything[seq as usize - 1..], "{seq}");
    }
}

#[test]
fn a_time_passes_over_segments_that_were_written_before_it() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    for start in 0..3 {
        write(&mut open(&folder, start, 1 << 20), &["x"]);
        let file = fs::File::options().append(true).open(path(&folder, start + 1)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(10 * start)).unwrap();
    }
    let mut reader = Reader::open(&folder).unwrap();
    for (since, left) in [("00:00:00", 3), ("00:00:01", 2), ("00:00:10", 2), ("00:01:00", 1)] {
        reader.seek_time(&format!("1970-01-01T{since}.5Z")).unwrap();
        assert_eq!(told(&mut reader).len(), left, "{since}");
    }
}

#[test]
fn an_app_keeps_as_much_as_was_said_and_no_instance_deletes_anothers() {
    let scratch = Scratch::new();
    let own = scratch.folder();
    let (gone, busy) = (scratch.0.join("web.2"), scratch.0.join("web.3"));
    let text = "x".repeat(1000);
    for (age, folder) in [(30, &own), (20, &gone), (10, &busy)] {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("lock"), "").unwrap();
        let mut writer = open(folder, 1, 1);
        for number in 0..4 {
            write(&mut writer, &[&text]);
            let file = path(folder, list(folder).unwrap().pop().unwrap());
            let file = fs::File::options().append(true).open(file).unwrap();
            let written = std::time::UNIX_EPOCH + Duration::from_secs(1000 - age + number);
            file.set_modified(written).unwrap();
        }
    }
    let busy_lock = fs::File::options().write(true).open(busy.join("lock")).unwrap();
    assert!(try_lock_alone(&busy_lock));
    let sizes = |folder: &PathBuf| list(folder).unwrap().len();
    let one = fs::metadata(path(&own, 1)).unwrap().len();
    let now = Duration::from_secs(1000);
    let bounds = |segments| Bounds { size: segments * one + 100, age: Duration::from_secs(900) };

    assert_eq!(prune(&own, bounds(12), 0, now).unwrap(), 0);
    prune(&own, bounds(11), one, now).unwrap();
    assert_eq!((sizes(&own), sizes(&gone), sizes(&busy)), (2, 4, 4));
    prune(&own, bounds(8), 0, now).unwrap();
    assert_eq!((sizes(&own), sizes(&gone), sizes(&busy)), (1, 3, 4));
    // All that is left is the others' and its own last.
    prune(&own, bounds(0), 0, now).unwrap();
    assert_eq!((sizes(&own), sizes(&gone), sizes(&busy)), (1, 0, 4));
    assert!(!drop_oldest(&own).unwrap());
    assert!(drop_oldest(&busy).unwrap());
    drop(busy_lock);
    prune(&own, bounds(100), 0, now + Duration::from_secs(893)).unwrap();
    assert_eq!(list(&busy).unwrap(), [4]);
}

fn try_lock_alone(file: &fs::File) -> bool {
    host_sys::lock::try_lock(file, host_sys::lock::Share::Alone).unwrap()
}

#[test]
fn logs_are_found_by_app_and_instance() {
    let scratch = Scratch::new();
    for folder in ["a/web.1", "a/web.10", "a/web.2", "b+3/db.1", "a/odd", "a/x.y"] {
        fs::create_dir_all(scratch.0.join("logs").join(folder)).unwrap();
    }
    fs::write(scratch.0.join("logs/a/sinks.1"), "").unwrap();
    let found = |app| {
        let found = instances(&scratch.0.join("logs"), app).into_iter();
        found.map(|i| format!("{} {} {}", i.app, i.service, i.instance)).collect::<Vec<_>>()
    };
    assert_eq!(found(None), ["a web 1", "a web 2", "a web 10", "b+3 db 1"]);
    assert_eq!(found(Some("b+3")), ["b+3 db 1"]);
    assert_eq!(found(Some("../logs/a")), [""; 0]);
    assert_eq!(found(Some("none")), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_written_is_read_whole_while_segments_change(
        batches in proptest::collection::vec(
            (proptest::collection::vec(".{0,300}", 1..5), any::<bool>(), any::<bool>()), 1..20),
    ) {
        let scratch = Scratch::new();
        let folder = scratch.folder();
        let mut writer = open(&folder, 1, 2000);
        let mut follower = Reader::open(&folder).unwrap();
        let (mut expected, mut seen) = (Vec::new(), Vec::new());
        for (bodies, killed, looked) in batches {
            let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
            let from = writer.next_seq();
            write(&mut writer, &bodies);
            expected.extend((from..).zip(bodies).map(|(seq, body)| format!("{seq} {body}")));
            if looked {
                seen.extend(told(&mut follower));
            }
            if killed {
                writer = open(&folder, 1, 2000);
            }
        }
        seen.extend(told(&mut follower));
        prop_assert_eq!(&seen, &expected);
        prop_assert_eq!(all(&folder), expected);
    }
}
