use proptest::prelude::*;

use super::*;
use crate::logs::shape::{LINE, Part};

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
