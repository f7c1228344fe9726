use std::net::IpAddr;

use proptest::prelude::*;

use super::{Malformed, kind, read};
use crate::dns::Names;
use crate::dns::answer::answer;

fn names() -> Names {
    let mut names = Names::default();
    names.add("api", [IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap()]);
    names.add("shop.web", [IpAddr::from([192, 0, 2, 1])]);
    names.add("wide", (0..=255).map(|last| IpAddr::from([192, 0, 2, last])));
    names
}

/// A question as dig(1) sends it, without EDNS.
fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend([kind, 1].map(u16::to_be_bytes).concat());
    bytes
}

/// The same with an OPT record: what the asker can take, and the version.
fn extended(name: &str, kind: u16, room: u16, version: u8) -> Vec<u8> {
    let mut bytes = question(name, kind);
    bytes[11] = 1;
    let room = room.to_be_bytes();
    // With an option, a cookie, which is not known here.
    bytes.extend([0, 0, 41, room[0], room[1], 0, version, 0, 0, 0, 12, 0, 10, 0, 8]);
    bytes.extend([7; 8]);
    bytes
}

/// An answer in its parts: the code, whether it is cut, the counts of records.
fn parts(bytes: &[u8]) -> (u8, bool, [u16; 3]) {
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    assert_eq!(bytes[0..2], [0xab, 0xcd], "the question's number");
    assert_eq!(bytes[2] & 0x80, 0x80, "an answer");
    (bytes[3] & 15, bytes[2] & 2 != 0, [word(6), word(8), word(10)])
}

fn ask(question: &[u8]) -> Vec<u8> {
    answer(question, &names(), true).unwrap()
}

#[test]
fn an_answer_is_these_bytes() {
    let mut expected = question("API.internal", kind::A);
    expected[2..4].copy_from_slice(&[0x85, 0]); // an answer, for sure, recursion was desired
    expected[7] = 1;
    expected.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1]);
    assert_eq!(ask(&question("API.internal", kind::A)), expected);
}

#[test]
fn nothing_is_told_with_how_long_it_stays_so() {
    let mut expected = question("no.internal", kind::A);
    expected[2..4].copy_from_slice(&[0x85, 3]);
    expected[9] = 1;
    expected.extend([0xc0, 15, 0, 6, 0, 1, 0, 0, 0, 1, 0, 32, 0xc0, 15]);
    expected.extend(b"\x07hostctl\xc0\x0f");
    expected.extend([1_u32, 3600, 600, 86400, 1].map(u32::to_be_bytes).concat());
    assert_eq!(ask(&question("no.internal", kind::A)), expected);
}

#[test]
fn every_name_has_its_answer() {
    for (name, kind, expected) in [
        ("api.internal", kind::AAAA, (0, false, [1, 0, 0])),
        ("api.internal", kind::ANY, (0, false, [2, 0, 0])),
        ("shop.web.internal", kind::A, (0, false, [1, 0, 0])),
        // The name is there, the record is not.
        ("shop.web.internal", kind::AAAA, (0, false, [0, 1, 0])),
        ("api.internal", 33, (0, false, [0, 1, 0])),
        // Nothing but names below it.
        ("web.internal", kind::A, (0, false, [0, 1, 0])),
        ("internal", kind::SOA, (0, false, [0, 1, 0])),
        ("hop.web.internal", kind::A, (3, false, [0, 1, 0])),
        ("b.internal", kind::A, (3, false, [0, 1, 0])),
        // Of others.
        ("example.com", kind::A, (5, false, [0, 0, 0])),
        ("apiinternal", kind::A, (5, false, [0, 0, 0])),
        ("api.internal.example.com", kind::A, (5, false, [0, 0, 0])),
        ("", kind::A, (5, false, [0, 0, 0])),
    ] {
        assert_eq!(parts(&ask(&question(name, kind))), expected, "{name} {kind}");
    }
    // A dot within a label is no dot between two, and chaos is another class.
    let mut dotted = question("shop-web.internal", kind::A);
    dotted[17] = b'.';
    assert_eq!(parts(&ask(&dotted)).0, 3);
    let mut chaos = question("api.internal", kind::A);
    *chaos.last_mut().unwrap() = 3;
    assert_eq!(parts(&ask(&chaos)), (5, false, [0, 0, 0]));
}

#[test]
fn what_is_too_long_is_cut_and_whole_by_tcp() {
    let plain = ask(&question("wide.internal", kind::A));
    assert_eq!((parts(&plain), plain.len()), ((0, true, [0, 0, 0]), 31));
    let some = ask(&extended("wide.internal", kind::A, 4096, 0));
    assert_eq!(parts(&some), (0, true, [0, 0, 1]));
    let whole = answer(&question("wide.internal", kind::A), &names(), false).unwrap();
    assert_eq!(parts(&whole), (0, false, [256, 0, 0]));
}

#[test]
fn edns_is_answered_in_kind() {
    let some = ask(&extended("api.internal", kind::A, 4096, 0));
    assert_eq!(parts(&some), (0, false, [1, 0, 1]));
    assert!(some.ends_with(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]), "{some:?}");
    // BADVERS, and the version that is known.
    let later = ask(&extended("api.internal", kind::A, 4096, 1));
    assert_eq!(parts(&later), (0, false, [0, 0, 1]));
    assert!(later.ends_with(&[0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]), "{later:?}");
}

#[test]
fn what_is_no_question_is_told_so_or_not_answered() {
    let whole = question("api.internal", kind::A);
    for length in 0..whole.len() {
        let cut = answer(&whole[..length], &names(), true);
        match length {
            0..12 => assert_eq!(cut, None, "{length}"),
            _ => assert_eq!(parts(&cut.unwrap()), (1, false, [0, 0, 0]), "{length}"),
        }
    }
    // An answer is never answered.
    assert_eq!(read(&ask(&whole)), Err(Malformed::Mute));
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        parts(&ask(&bytes)).0
    };
    // An update, no question, two questions.
    assert_eq!((changed(2, 0x28), changed(5, 0), changed(5, 2)), (4, 1, 1));
    // A pointer to itself, and a label of a kind that there is not.
    assert_eq!((changed(12, 0xc0), changed(12, 0x40)), (1, 1));
    // Records that are promised and not there.
    assert_eq!(changed(11, 1), 1);
    // A name has 255 bytes as it is sent, and not one more.
    let long = [&["abc"; 63][..], &["a"]].concat().join(".");
    assert_eq!(parts(&ask(&question(&long, kind::A))).0, 5);
    assert_eq!(parts(&ask(&question(&format!("{long}b"), kind::A))).0, 1);
}

#[test]
fn a_pointer_in_a_record_leads_nowhere() {
    // OPT behind two records whose names point to themselves and to one another.
    let mut bytes = question("api.internal", kind::A);
    bytes[11] = 3;
    for pointer in [30, 42] {
        bytes.extend([0xc0, pointer, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    assert_eq!(parts(&ask(&bytes)), (0, false, [1, 0, 1]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_bytes_are_answered_or_not(noise: Vec<u8>, by_udp: bool) {
        if let Some(answer) = answer(&noise, &names(), by_udp) {
            prop_assert_eq!(&answer[..2], &noise[..2]);
            prop_assert!(answer[2] & 0x80 != 0);
        }
    }

    #[test]
    fn any_change_of_a_question_is_answered_or_not(
        changes in prop::collection::vec((2..60_usize, any::<u8>()), 0..6),
        by_udp: bool,
    ) {
        let mut bytes = extended("wide.internal", kind::A, 4096, 0);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Some(answer) = answer(&bytes, &names(), by_udp) {
            prop_assert!(!by_udp || answer.len() <= super::LARGE);
        }
    }
}
