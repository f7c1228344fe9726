use proptest::prelude::*;

use super::*;
use crate::logs::shape::{LINE, Part, Redactor, line};

/// Every draft of a stream that comes in these pieces.
fn drafts<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Draft<'static>> {
    let mut shaper = Shaper::new(Stream::Output, Arc::default(), 0);
    let mut drafts = Vec::new();
    let mut take = |draft: &Draft<'_>| drafts.push(draft.clone().into_owned());
    for piece in pieces {
        shaper.push(piece, &mut take);
    }
    shaper.end(&mut take);
    drafts
}

/// The bytes of a stream as its records have them.
fn bytes(drafts: &[Draft<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for draft in drafts {
        match draft.attributes.fields.get(attribute::BYTES_HEX).and_then(Value::as_str) {
            Some(digits) => bytes.extend(
                (0..digits.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()),
            ),
            None => bytes.extend_from_slice(draft.body.as_bytes()),
        }
        if draft.attributes.part.is_none_or(|part| part.last) {
            bytes.push(b'\n');
        }
    }
    bytes
}

#[test]
fn lines_are_whole_wherever_the_reads_cut_them() {
    let text = b"one\ntwo \xff\n\nthree";
    for cut in 0..text.len() {
        let drafts = drafts([&text[..cut], &text[cut..]]);
        let bodies: Vec<_> = drafts.iter().map(|draft| draft.body.as_ref()).collect();
        assert_eq!(bodies, ["one", "two \u{fffd}", "", "three"]);
        assert_eq!(drafts[1].attributes.fields["bytes_hex"], "74776f20ff");
        let ends: Vec<_> = drafts.iter().map(|draft| draft.end).collect();
        assert_eq!(ends, [4, 10, 11, 16]);
    }
}

#[test]
fn long_lines_become_linked_parts_and_no_character_is_torn() {
    let text = "\u{20ac}".repeat(LINE);
    let all = format!("{text}\nx\n");
    for step in [1000, LINE, all.len()] {
        let drafts = drafts(all.as_bytes().chunks(step));
        assert_eq!(bytes(&drafts), all.as_bytes());
        let parts: Vec<_> = drafts.iter().map(|draft| draft.attributes.part).collect();
        let part = |number, last| Some(Part { number, last });
        assert_eq!(parts, [part(0, false), part(1, false), part(2, false), part(3, true), None]);
        assert!(drafts.iter().all(|draft| draft.attributes.fields.is_empty()));
        assert!(drafts.iter().all(|draft| draft.body.len() <= LINE));
    }
    let line = [vec![b'x'; LINE], vec![b'\n']].concat();
    assert_eq!(drafts([&line[..]])[0].attributes.part, None);
}

#[test]
fn a_shaper_goes_on_after_any_record() {
    let text = format!("a\n{}\nb\n{}", "x".repeat(3 * LINE), "y".repeat(LINE + 1));
    let whole = drafts([text.as_bytes()]);
    for (index, last) in whole.iter().enumerate() {
        let record = last.record(1, "");
        let mut shaper = Shaper::after(Stream::Output, Arc::default(), &record);
        let mut rest = Vec::new();
        let mut take = |draft: &Draft<'_>| rest.push(draft.clone().into_owned());
        shaper.push(&text.as_bytes()[usize::try_from(last.end).unwrap()..], &mut take);
        shaper.end(&mut take);
        assert_eq!(rest, whole[index + 1..], "{index}");
    }
}

/// Lines of traces, and others, in any order.
const LINES: [&str; 62] = [
    "Traceback (most recent call last):",
    "  File \"/srv/shop/cart.py\", line 7, in price",
    "    return {\"tea\": 3}[item]",
    "           ~~~~~~~~~~^^^^^^",
    "KeyError: 'salt'",
    "The above exception was the direct cause of the following exception:",
    "  + Exception Group Traceback (most recent call last):",
    "  | ExceptionGroup: two (2 sub-exceptions)",
    "  +-+---------------- 1 ----------------",
    "Exception in thread Thread-1 (work):",
    "  File \"/srv/shop/broken.py\", line 1",
    "SyntaxError: invalid syntax",
    "x",
    "  Input should be an integer",
    "Exception in thread \"main\" java.lang.IllegalStateException: no",
    "java.lang.IllegalStateException: no",
    "com.example.Odd",
    "\tat com.example.A.f(A.java:1)",
    "\t... 12 more",
    "Caused by: java.io.IOException: gone",
    "\tSuppressed: java.io.IOException: gone",
    "/srv/shop/cart.js:3",
    "    throw new Error('no');",
    "    ^",
    "Error: no",
    "failed: TypeError: no",
    "    at f (/srv/shop/cart.js:3:11)",
    "    at node:internal/main:1:2 {",
    "  code: 'E_NO',",
    "}",
    "Node.js v20.20.2",
    "/srv/shop/cart.rb:2:in `f': no (KeyError)",
    "/srv/shop/cart.rb:2:in `f'",
    "\tfrom /srv/shop/cart.rb:5:in `<main>'",
    "\t2: from /srv/shop/cart.rb:5:in `<main>'",
    "Did you mean?  nil",
    "E, [2026-01-02T03:04:05.000001 #1] ERROR -- : no (KeyError)",
    "panic: no",
    "\tpanic: again",
    "[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x47b1d6]",
    "goroutine 1 [running]:",
    "main.f(0x1)",
    "\t/srv/shop/main.go:1 +0x1",
    "created by main.main in goroutine 1",
    "exit status 2",
    "fatal error: all goroutines are asleep - deadlock!",
    "2026/01/02 03:04:05 http: panic serving 127.0.0.1:1: no",
    "thread 'main' panicked at src/main.rs:1:2:",
    "thread 'main' panicked at 'no', src/main.rs:1:2",
    "stack backtrace:",
    "   0: main::f",
    "             at ./src/main.rs:1:2",
    "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    "",
    "  ",
    "text",
    "more text, with blanks",
    "ERROR of somebody",
    "2026-01-02 03:04:05 INFO a log line",
    "a line with\rreturns\r",
    "caf\u{e9} \u{20ac}",
    "Error: a, b and c",
];

fn lines() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(LINES.to_vec()), 0..40)
        .prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect())
}

/// The lines that text records have.
fn text(drafts: &[Draft<'_>]) -> String {
    let of = |draft: &Draft<'_>| {
        let stack = draft.attributes.fields.get(attribute::EXCEPTION_STACKTRACE);
        format!("{}\n", stack.and_then(Value::as_str).unwrap_or(&draft.body))
    };
    drafts.iter().map(of).collect()
}

/// Everything in a record that somebody could read.
pub(in crate::logs::shape) fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            found.push(name.clone());
            strings(value, found);
        }),
        other => found.push(other.to_string()),
    }
}

/// A line that has a secret in one of its forms, in a place of its own.
fn with_secret(secret: &str, form: usize, place: usize) -> String {
    let quoted = Value::from(secret).to_string();
    let inner = quoted[1..quoted.len() - 1].to_owned();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let units: String = secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let value = [secret, &inner, &percent, &units][form % 4];
    match place % 8 {
        0 => format!("a line with {value} in it"),
        1 => format!("{{\"msg\":\"{value}\",\"level\":\"warn\"}}"),
        2 => format!("{{\"{value}\":{{\"deep\":[\"x{value}y\"]}}}}"),
        3 => format!("level=info password=\"{value}\" b={value}"),
        4 => format!(
            "Traceback (most recent call last):\n  File \"/{value}/a.py\", line 1, in {value}\nKeyError: {value}"
        ),
        5 => value.to_string(),
        6 => format!("{{\"stack\":\"Error: {value}\\n    at {value} (/a.js:1:2)\"}}"),
        _ => format!("{}{value}{}", "x".repeat(LINE - 6), "y".repeat(40)),
    }
}

/// Bytes with many line ends, long lines and much that is no text.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..20),
        2 => Just(b"\n".to_vec()),
        2 => "[a-z\u{e9}\u{20ac} ]{0,30}".prop_map(String::into_bytes),
        1 => (1..3 * LINE).prop_map(|length| vec![b'x'; length]),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn records_are_the_same_wherever_the_stream_is_cut(
        text in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = drafts([&text[..]]);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let cut = drafts(cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]));
        prop_assert_eq!(&whole, &cut);
        let mut expected = text.clone();
        if expected.last().is_some_and(|last| *last != b'\n') {
            expected.push(b'\n');
        }
        prop_assert_eq!(bytes(&whole), expected);
        prop_assert_eq!(whole.last().map_or(0, |last| last.end), text.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn traces_are_the_same_wherever_the_stream_is_cut_and_no_line_is_lost(
        written in lines(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        expired in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let whole = drafts([written.as_bytes()]);
        prop_assert_eq!(&text(&whole), &written);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(written.len() + 1)).collect();
        cuts.extend([0, written.len()]);
        cuts.sort_unstable();
        let pieces = || cuts.windows(2).map(|pair| &written.as_bytes()[pair[0]..pair[1]]);
        prop_assert_eq!(&whole, &drafts(pieces()));
        // Behind any record another shaper goes on with the same.
        for (index, last) in whole.iter().enumerate() {
            let mut shaper = Shaper::after(Stream::Output, Arc::default(), &last.record(1, ""));
            let mut rest = Vec::new();
            let mut take = |draft: &Draft<'_>| rest.push(draft.clone().into_owned());
            shaper.push(&written.as_bytes()[usize::try_from(last.end).unwrap()..], &mut take);
            shaper.end(&mut take);
            prop_assert_eq!(&rest, &whole[index + 1..]);
        }
        // Silences tear traces apart, and lose nothing.
        let mut shaper = Shaper::new(Stream::Output, Arc::default(), 0);
        let mut torn = Vec::new();
        let mut take = |draft: &Draft<'_>| torn.push(draft.clone().into_owned());
        for (number, piece) in pieces().enumerate() {
            shaper.push(piece, &mut take);
            if expired.iter().any(|index| index.index(cuts.len()) == number) {
                shaper.expire(&mut take);
                prop_assert!(!shaper.is_holding_trace());
            }
        }
        shaper.end(&mut take);
        prop_assert_eq!(&text(&torn), &written);
        prop_assert!(torn.windows(2).all(|pair| pair[0].end < pair[1].end));
        prop_assert_eq!(torn.last().map_or(0, |last| last.end), written.len() as u64);
    }

    #[test]
    fn no_secret_is_in_any_record(
        secrets in prop::collection::vec("[a-zA-Z0-9+/=\"\\\\%: {}é,-]{6,12}", 1..4),
        lines in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<usize>(), any::<usize>()), 1..8),
        size in 1..200_usize,
    ) {
        let secrets: Vec<String> = secrets;
        let redactor = Redactor::new(&secrets).unwrap();
        let written: Vec<String> = lines
            .iter()
            .map(|(secret, form, place)| with_secret(secret.get::<String>(&secrets), *form, *place))
            .collect();
        let written = format!("{}\n", written.join("\n"));
        // What is in every such line by itself is no secret of anybody.
        let skeleton: String = (0..8).map(|place| with_secret("", 0, place)).collect();
        prop_assume!(!secrets.iter().any(|secret| skeleton.contains(secret.as_str())));
        let mut shaper = Shaper::new(Stream::Output, Arc::new(Settings { secrets: redactor }), 0);
        let mut buffer = Vec::new();
        let mut take = |draft: &Draft<'_>| line::append(&mut buffer, 1, "", draft);
        written.as_bytes().chunks(size).for_each(|piece| shaper.push(piece, &mut take));
        shaper.end(&mut take);
        for line in buffer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let value: Value = serde_json::from_slice(line).unwrap();
            let mut found = Vec::new();
            strings(&value, &mut found);
            for secret in &secrets {
                let shown = found.iter().find(|text| text.contains(secret.as_str()));
                prop_assert!(shown.is_none(), "{secret:?} in {shown:?} of {written:?}");
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..30),
                prop::sample::select(LINES.to_vec()).prop_map(|line| line.as_bytes().to_vec()),
                Just(b"\n".to_vec()),
            ],
            0..40,
        ),
        size in 1..50_usize,
    ) {
        let all = pieces.concat();
        let found = drafts(all.chunks(size));
        prop_assert_eq!(found.last().map_or(0, |last| last.end), all.len() as u64);
    }
}
