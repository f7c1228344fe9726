use std::borrow::Cow;

use manifest_spec::log::{Resource, Severity};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::logs::shape::{Part, Stream};

const TS: &str = "2026-01-02T03:04:05.123456789Z";

fn sample() -> Header {
    Header {
        v: VERSION,
        resource: Resource {
            app: "shop+3".into(),
            service: "web".into(),
            instance: 2,
            version: Some(7),
            host: "h\"1".into(),
            boot_id: "b".into(),
            started: TS.into(),
        },
        first_seq: 18,
    }
}

fn full() -> Draft<'static> {
    let mut draft = Draft::plain(Stream::Error, "tab\t\"quote\" \u{1b}[1m".into(), 77);
    draft.severity = Severity::Error;
    draft.attributes.part = Some(Part { number: 3, last: false });
    draft.attributes.fields.insert("http".into(), json!({"status": 500, "ms": 1.5}));
    draft.trace_id = Some([0xab; 16]);
    draft.span_id = Some([1; 8]);
    draft
}

fn line(draft: &Draft<'_>) -> Vec<u8> {
    let mut buffer = b"before\n".to_vec();
    append(&mut buffer, 42, TS, draft);
    assert_eq!(buffer.pop(), Some(b'\n'));
    buffer.split_off(7)
}

#[test]
fn a_record_is_one_object_with_its_seal_at_the_end() {
    let plain = line(&Draft::plain(Stream::Output, "hello".into(), 6));
    assert_eq!(
        String::from_utf8(plain).unwrap(),
        "{\"v\":1,\"seq\":42,\"ts\":\"2026-01-02T03:04:05.123456789Z\",\"severity\":\"info\",\
         \"body\":\"hello\",\"attributes\":{\"stream\":\"stdout\"},\"at\":6,\"crc\":\"a3f76dc4\"}"
    );
}

#[test]
fn what_is_written_is_read() {
    let draft = full();
    assert_eq!(read(&line(&draft)), Ok(Line::Record(draft.record(42, TS))));
    let datagram =
        Draft { attributes: crate::logs::shape::Attributes::new(Stream::Syslog), ..draft };
    let record = datagram.record(42, TS);
    assert_eq!((record.at, read(&line(&datagram))), (None, Ok(Line::Record(record.clone()))));
    let mut first = Vec::new();
    header(&mut first, &sample());
    assert_eq!(first.pop(), Some(b'\n'));
    assert_eq!(read(&first), Ok(Line::Header(sample())));
}

#[test]
fn a_changed_or_torn_line_is_none() {
    let mut first = Vec::new();
    header(&mut first, &sample());
    first.pop();
    for line in [line(&full()), first] {
        for end in 0..line.len() {
            assert_eq!(read(&line[..end]), Err(Damage::Unsealed), "{end}");
        }
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut changed = line.clone();
                changed[at] ^= 1 << bit;
                assert!(check(&changed).is_err(), "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn what_is_sealed_and_no_line_of_this_version_says_so() {
    let seal = |text: &str| {
        let mut line = text.as_bytes().to_vec();
        super::seal(&mut line, 0);
        line.pop();
        read(&line).unwrap_err()
    };
    assert_eq!(seal(r#"{"v":2,"seq":1"#), Damage::Version(2));
    assert_eq!(seal(r#"{"v":9,"seq":1,"ts":"","severity":"info","body":"""#), Damage::Version(9));
    assert!(matches!(seal(r#"{"v":1"#), Damage::Form(_)));
    assert!(matches!(seal("["), Damage::Form(_)));
}

proptest! {
    #[test]
    fn every_draft_is_read_back(
        seq in any::<u64>(),
        body in "(\\PC|[\\x00-\\x1f]){0,80}",
        name in "\\PC{0,8}",
        value in "\\PC{0,8}",
        end in any::<u64>(),
    ) {
        let mut draft = Draft::plain(Stream::Output, Cow::Owned(body), end);
        draft.attributes.fields.insert(format!("x{name}"), Value::from(value));
        let mut buffer = Vec::new();
        append(&mut buffer, seq, TS, &draft);
        let whole = buffer.strip_suffix(b"\n").unwrap();
        prop_assert!(!whole.contains(&b'\n'));
        prop_assert_eq!(read(whole), Ok(Line::Record(draft.record(seq, TS))));
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = read(&bytes);
    }
}

/// What version 1 wrote, some of it with keys that came later; also held by the tests of the format.
const VERSION_1: &str = include_str!("../../../../../manifest-spec/tests/log/version-1.log");

#[test]
fn lines_of_version_1_are_read_for_ever() {
    let lines: Vec<_> = VERSION_1.lines().map(|line| read(line.as_bytes()).unwrap()).collect();
    let records = lines.iter().filter(|line| matches!(line, Line::Record(_))).count();
    assert_eq!((lines.len(), records), (13, 11));
    let Line::Record(record) = &lines[2] else { panic!("it is a record") };
    assert_eq!((record.seq, record.severity, record.at), (19, Severity::Warn, Some(77)));
    // What is written today is written as it was then.
    let mut draft = Draft::plain(Stream::Error, Cow::Borrowed(&record.body), 77);
    draft.severity = record.severity;
    draft.attributes.fields.insert("ms".into(), json!(1200.5));
    let http = json!({"status": 500, "path": ["a", null, true]});
    draft.attributes.fields.insert("http".into(), http);
    let id = |digits: Option<&String>| u128::from_str_radix(digits.unwrap(), 16).unwrap();
    draft.trace_id = Some(id(record.trace_id.as_ref()).to_be_bytes());
    draft.span_id = Some((id(record.span_id.as_ref()) as u64).to_be_bytes());
    let mut written = Vec::new();
    append(&mut written, 19, &record.ts, &draft);
    assert_eq!(
        String::from_utf8(written).unwrap(),
        format!("{}\n", VERSION_1.lines().nth(2).unwrap())
    );
}
