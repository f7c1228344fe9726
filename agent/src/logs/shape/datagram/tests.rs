use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::logs::shape::Redactor;
use crate::logs::shape::draft::hexadecimal;
use crate::logs::shape::shaper::tests::strings;

fn settings() -> Settings {
    Settings { secrets: Redactor::new(["s3cr3t-value"]).unwrap() }
}

fn one(drafts: Vec<Draft<'static>>) -> (Severity, String, Value) {
    assert_eq!(drafts.len(), 1, "{drafts:?}");
    let draft = drafts.into_iter().next().unwrap();
    (draft.severity, draft.body.into_owned(), Value::Object(draft.attributes.fields))
}

fn syslog_of(text: &str) -> (Severity, String, Value) {
    one(syslog(text.as_bytes(), &settings()))
}

fn journal_of(bytes: &[u8]) -> (Severity, String, Value) {
    one(journal(bytes, &settings()))
}

#[test]
fn what_clients_of_dev_log_send_is_understood() {
    // syslog(3) of glibc and musl with LOG_PID, and without.
    let found = syslog_of("<30>Jan  2 03:04:05 web[123]: hello: world");
    let fields = json!({
        "syslog.facility": "daemon", "syslog.severity": "info",
        "syslog.timestamp": "Jan  2 03:04:05", "syslog.appname": "web", "syslog.procid": "123",
    });
    assert_eq!(found, (Severity::Info, "hello: world".into(), fields));
    let (severity, body, fields) = syslog_of("<11>Oct 12 23:59:59 my-app: failed\n");
    assert_eq!((severity, body.as_str()), (Severity::Error, "failed"));
    assert_eq!(fields["syslog.appname"], "my-app");
    assert!(fields.get("syslog.procid").is_none());
    // logging.handlers.SysLogHandler of Python ends with NUL and has no time.
    let fields = json!({"syslog.facility": "user", "syslog.severity": "warning"});
    let found = syslog_of("<12>error: no tag\0");
    assert_eq!(found, (Severity::Warn, "error: no tag".into(), fields));
    let (_, body, fields) = syslog_of("<131>2026-01-02T03:04:05.678+01:00 x[y-1]: z");
    assert_eq!((body.as_str(), &fields["syslog.procid"]), ("z", &json!("y-1")));
    assert_eq!(fields["syslog.timestamp"], "2026-01-02T03:04:05.678+01:00");
    assert_eq!(fields["syslog.facility"], "local0");
}

#[test]
fn rfc_5424_is_understood() {
    let text = "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 42 ID47 \
                [exampleSDID@32473 iut=\"3\" eventSource=\"A \\\"b\\\" \\\\ \\] \\x\" iut=\"4\"]\
                [other@1] \u{feff}An event\nof two lines";
    let fields = json!({
        "syslog.facility": "local4", "syslog.severity": "notice",
        "syslog.timestamp": "2003-10-11T22:14:15.003Z",
        "syslog.hostname": "mymachine.example.com", "syslog.appname": "evntslog",
        "syslog.procid": "42", "syslog.msgid": "ID47",
        "syslog.data": {
            "exampleSDID@32473": {"iut": ["3", "4"], "eventSource": "A \"b\" \\ ] \\x"},
            "other@1": {},
        },
    });
    let body = "An event\nof two lines";
    assert_eq!(syslog_of(text), (Severity::Info, body.into(), fields));
    let (severity, body, fields) = syslog_of("<0>1 - - - - - -");
    assert_eq!((severity, body.as_str()), (Severity::Fatal, ""));
    assert_eq!(fields, json!({"syslog.facility": "kern", "syslog.severity": "emerg"}));
}

#[test]
fn what_is_not_understood_stays_in_the_body() {
    for text in ["", "hello", "<192>x", "<>x", "<12", "<1234>x", "<a>x"] {
        assert_eq!(syslog_of(text), (Severity::Info, text.into(), json!({})), "{text}");
    }
    for (text, expected) in [
        ("<12>1 - - - - - [x y=\"1\" z", "[x y=\"1\" z"),
        ("<12>1 - - - - - [x y=\"1\"]z", "[x y=\"1\"]z"),
        ("<12>1 - - - - - text", "text"),
        ("<12>1 - -", "1 - -"),
        ("<12>1 of 2 things: done", "1 of 2 things: done"),
        ("<12>1 of 2 things that were to be done", "1 of 2 things that were to be done"),
        ("<12>Jan  2 03:04:05 no tag here", "no tag here"),
        ("<12>Jan 2 03:04:05 tag: x", "Jan 2 03:04:05 tag: x"),
        ("<12>http://host: gone", "http://host: gone"),
        ("<12>list[0] is: empty", "list[0] is: empty"),
    ] {
        assert_eq!(syslog_of(text).1, expected, "{text}");
    }
}

#[test]
fn entries_of_the_journal_have_both_forms_of_values() {
    let mut bytes = b"PRIORITY=3\nMESSAGE\n".to_vec();
    bytes.extend_from_slice(&11_u64.to_le_bytes());
    bytes.extend_from_slice(b"two\nlines=1\nSYSLOG_IDENTIFIER=web\nCODE_FILE=a.c\nCODE_LINE=7\n");
    bytes.extend_from_slice(b"CODE_FUNC=main\nSYSLOG_FACILITY=3\nTAG=a\n#TAG=no\nTAG=b=c\nRAW\n");
    bytes.extend_from_slice(&2_u64.to_le_bytes());
    bytes.extend_from_slice(b"\xff\n\n");
    let fields = json!({
        "syslog.severity": "err", "syslog.appname": "web", "code.file.path": "a.c",
        "code.line.number": "7", "code.function.name": "main", "syslog.facility": "daemon",
        "TAG": ["a", "b=c"], "RAW": {"bytes_hex": "ff0a"},
    });
    assert_eq!(journal_of(&bytes), (Severity::Error, "two\nlines=1".into(), fields));
    let two = journal(b"MESSAGE=a\n\n\nMESSAGE=b\nPRIORITY=x", &settings());
    let bodies: Vec<_> = two.iter().map(|draft| draft.body.as_ref()).collect();
    assert_eq!(bodies, ["a", "b"]);
    assert_eq!(two[1].attributes.fields["PRIORITY"], "x");
}

#[test]
fn what_is_no_entry_stays_as_it_is() {
    for text in ["", "hello", "lower=1", "=x", "1A=x", "MESSAGE\n\x05\0\0\0\0\0\0\0abc", "M\n123"] {
        let found = journal_of(text.as_bytes());
        assert_eq!(found, (Severity::Info, text.into(), json!({})), "{text}");
    }
    let mut huge = b"MESSAGE\n".to_vec();
    huge.extend_from_slice(&u64::MAX.to_le_bytes());
    assert!(journal_of(&huge).2["bytes_hex"].is_string());
}

#[test]
fn what_is_long_is_bounded_and_said() {
    let text = format!("<12>Jan  2 03:04:05 a[1]: {}", "\u{20ac}".repeat(LINE));
    let parts = syslog(text.as_bytes(), &settings());
    let whole: String = parts.iter().map(|draft| draft.body.as_ref()).collect();
    assert!(whole == "\u{20ac}".repeat(LINE) && parts.len() == 4);
    for (number, draft) in (0..).zip(&parts) {
        assert_eq!(draft.attributes.part, Some(Part { number, last: number == 3 }));
        assert_eq!(draft.attributes.fields["syslog.appname"], "a");
    }
    let mut text = "MESSAGE=x\nLAST=y\n".to_owned();
    (0..10).for_each(|index| text.push_str(&format!("F{index}={}\n", "s3cr3t-value".repeat(LINE))));
    let (_, _, fields) = journal_of(text.as_bytes());
    assert_eq!((&fields["F0"], &fields["LAST"]), (&json!("[redacted]"), &json!("y")));
    let text = text.replace("s3cr3t", "secret");
    let (_, _, fields) = journal_of(text.as_bytes());
    assert_eq!(fields["F0"].as_str().unwrap().len(), LINE);
    assert_eq!(fields["journal.cut"].as_array().unwrap().len(), 10);
    assert!(fields.to_string().len() < ROOM_OF_ALL && fields.get("F9").is_none());
}

#[test]
fn what_a_message_says_is_read_as_lines_are() {
    let (severity, body, fields) = syslog_of(
        "<14>Jan  2 03:04:05 web[7]: @cee: {\"msg\":\"m\",\"level\":\"error\",\"a\":1,\"syslog.appname\":\"x\",\
         \"gap\":2}",
    );
    assert_eq!((severity, body.as_str()), (Severity::Error, "m"));
    assert_eq!(fields["syslog.severity"], "info");
    assert_eq!(syslog_of("<12>ERROR no").0, Severity::Warn);
    assert_eq!((&fields["a"], &fields["app.gap"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&fields["syslog.appname"], &fields["app.syslog.appname"]),
        (&json!("web"), &json!("x"))
    );
    assert_eq!(syslog_of("@cee: {1").1, "@cee: {1");
    assert_eq!(syslog_of("ERROR no").0, Severity::Error);
    let trace = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 1";
    let mut entry = b"MESSAGE\n".to_vec();
    entry.extend_from_slice(&(trace.len() as u64).to_le_bytes());
    entry.extend_from_slice(trace.as_bytes());
    let (severity, body, fields) = journal_of(&entry);
    assert_eq!((severity, body.as_str()), (Severity::Error, "KeyError: 1"));
    assert_eq!(fields["exception.stacktrace"], trace);
    assert!(fields["exception.fingerprint"].is_string());
}

/// More than all values of an entry take.
const ROOM_OF_ALL: usize = 150 * 1024;

#[test]
fn secrets_are_kept_out() {
    for text in [
        "<12>Jan  2 03:04:05 s3cr3t-value[1]: s3cr3t-value",
        "<12>1 - s3cr3t-value s3cr3t-value - - [s3cr3t-value s3cr3t-value=\"s3cr3t-\\value\"] x",
        "<12>1 - - - - - [a b=\"s3cr3t-v\\u0061lue\"] s3cr3t-value",
    ] {
        let drafts = syslog(text.as_bytes(), &settings());
        assert!(!format!("{drafts:?}").contains("s3cr3t-value"), "{drafts:?}");
    }
    let mut bytes = b"MESSAGE=s3cr3t-value\nA=xs3cr3t-value\nB\n".to_vec();
    bytes.extend_from_slice(&13_u64.to_le_bytes());
    bytes.extend_from_slice(b"\xffs3cr3t-value\n");
    let drafts = journal(&bytes, &settings());
    let shown = format!("{drafts:?}");
    let digits = hexadecimal(b"s3cr3t");
    assert!(!shown.contains("s3cr3t-value") && !shown.contains(&digits), "{shown}");
}

proptest! {
    #[test]
    fn no_secret_is_in_any_record(
        secret in "[a-zA-Z0-9+/=\"\\\\%: \\]{}é,-]{6,12}",
        form in 0..3_usize,
    ) {
        let quoted = Value::from(secret.as_str()).to_string();
        let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let value = [&secret, &quoted[1..quoted.len() - 1], &percent][form];
        let param = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let settings = Settings { secrets: Redactor::new([&secret]).unwrap() };
        let mut drafts = Vec::new();
        for text in [
            format!("<12>Jan  2 03:04:05 {value}[{value}]: {value}"),
            format!("<12>1 - {value} {value} {value} {value} [x y=\"{param}\"] {value}"),
            format!("<12>{{\"msg\":\"{}\"}}", &quoted[1..quoted.len() - 1]),
        ] {
            drafts.extend(syslog(text.as_bytes(), &settings));
        }
        let mut entry = format!("MESSAGE={value}\nA={value}\nA=x{value}y\nB\n").into_bytes();
        let long = format!("{}{value}", "x".repeat(LINE - 8));
        for bytes in [[b"\xff", value.as_bytes()].concat(), long.into_bytes()] {
            entry.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            entry.extend_from_slice(&bytes);
            entry.extend_from_slice(b"\nB\n");
        }
        entry.truncate(entry.len() - 2);
        drafts.extend(journal(&entry, &settings));
        prop_assert!(drafts.len() == 4);
        let digits = hexadecimal(secret.as_bytes());
        for draft in drafts {
            let record = serde_json::to_value(draft.record(1, "")).unwrap();
            let mut found = Vec::new();
            strings(&record, &mut found);
            let shown = found.iter().find(|text| text.contains(&secret) || text.contains(&digits));
            prop_assert!(shown.is_none(), "{secret:?} in {shown:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'['), Just(b'"'), Just(b' '),
            Just(b'='), Just(b'\n'), Just(b'A'), Just(b'1')], 0..200),
    ) {
        let with = |start: &[u8]| [start, &bytes].concat();
        let settings = settings();
        for start in [&b""[..], b"<1>", b"<1>1 - - - - - [", b"<1>Jan  2 03:04:05 "] {
            prop_assert!(!syslog(&with(start), &settings).is_empty());
        }
        for start in [&b""[..], b"A=", b"A\n\x05\0\0\0\0\0\0\0"] {
            prop_assert!(!journal(&with(start), &settings).is_empty());
        }
    }
}
