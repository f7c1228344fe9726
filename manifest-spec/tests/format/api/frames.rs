//! Promise: what is sent in frames arrives as it was, wherever the bytes are cut; what is no frame
//! is refused as soon as that is known, and never collected.

use manifest_spec::api::exec::FRAME_BYTES;
use manifest_spec::api::{Exit, Frame, FrameError, Frames};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

fn frame() -> impl Strategy<Value = Frame> {
    let data = || vec(any::<u8>(), 1..200);
    prop_oneof![
        data().prop_map(Frame::Stdin),
        data().prop_map(Frame::Stdout),
        data().prop_map(Frame::Stderr),
        any::<(u16, u16)>().prop_map(|(columns, rows)| Frame::Resize(columns, rows)),
        any::<i32>().prop_map(Frame::Signal),
        Just(Frame::CloseStdin),
        any::<i32>().prop_map(|status| Frame::Exit(Exit::Exited(status))),
        any::<i32>().prop_map(|signal| Frame::Exit(Exit::Signaled(signal))),
        (any::<u8>(), ".{0,40}").prop_map(|(exit_code, text)| Frame::Failed { exit_code, text }),
    ]
}

fn encoded(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.encode(&mut bytes);
    }
    bytes
}

/// Every frame that is whole so far.
fn taken(frames: &mut Frames) -> Result<Vec<Frame>, FrameError> {
    std::iter::from_fn(|| frames.take().transpose()).collect()
}

proptest! {
    #[test]
    fn frames_arrive_wherever_they_are_cut(
        sent in vec(frame(), 0..8),
        cuts in vec(1_usize..40, 1..30),
    ) {
        let bytes = encoded(&sent);
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        let (mut rest, mut cuts) = (bytes.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(*cuts.next().expect("endless")));
            frames.push(now);
            found.extend(taken(&mut frames).expect("they are frames"));
            rest = later;
        }
        prop_assert_eq!(found, sent);
        prop_assert!(frames.is_whole());
    }

    #[test]
    fn no_bytes_make_it_panic_or_grow(bytes in vec(any::<u8>(), 0..400)) {
        let mut frames = Frames::default();
        frames.push(&bytes);
        if let Ok(found) = taken(&mut frames) {
            prop_assert!(bytes.starts_with(&encoded(&found)) || found.iter().any(is_empty));
        }
    }
}

/// A frame that is taken in and never sent: data of no bytes.
fn is_empty(frame: &Frame) -> bool {
    matches!(frame, Frame::Stdin(d) | Frame::Stdout(d) | Frame::Stderr(d) if d.is_empty())
}

#[test]
fn long_data_becomes_several_frames() {
    let data: Vec<u8> = (0..2 * FRAME_BYTES + 1).map(|n| (n % 251) as u8).collect();
    let mut frames = Frames::default();
    frames.push(&encoded(&[Frame::Stdout(data.clone())]));
    let found = taken(&mut frames).expect("they are frames");
    let parts: Vec<Vec<u8>> = found
        .into_iter()
        .map(|frame| match frame {
            Frame::Stdout(part) => part,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [FRAME_BYTES, FRAME_BYTES, 1]);
    assert_eq!(parts.concat(), data);
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let text = "é".repeat(FRAME_BYTES);
    let mut frames = Frames::default();
    frames.push(&encoded(&[Frame::Failed { exit_code: 127, text: text.clone() }]));
    let Ok(Some(Frame::Failed { exit_code: 127, text: found })) = frames.take() else {
        panic!("it is a frame");
    };
    assert!(text.starts_with(&found) && found.len() >= FRAME_BYTES - 3, "{}", found.len());
}

#[test]
fn a_frame_is_refused_by_its_head() {
    let refused = |bytes: &[u8]| {
        let mut frames = Frames::default();
        frames.push(bytes);
        let first = frames.take().expect_err("it is no frame");
        assert_eq!(frames.take(), Err(first), "it stays refused");
        first
    };
    let longest = u32::try_from(FRAME_BYTES).expect("it fits");
    let head = |kind: u8, length: u32| [&[kind][..], &length.to_le_bytes()].concat();
    assert_eq!(refused(&head(1, longest + 1)), FrameError::TooLong(FRAME_BYTES + 1));
    assert_eq!(refused(&head(8, 0)), FrameError::Kind(8));
    for (kind, content) in [(3, &[0; 3][..]), (4, &[0; 5]), (5, &[0]), (6, &[2, 0, 0, 0, 0])] {
        let length = u32::try_from(content.len()).expect("it fits");
        let bytes = [&head(kind, length)[..], content].concat();
        assert_eq!(refused(&bytes), FrameError::Content(kind), "{kind}");
    }
    assert_eq!(refused(&[&head(7, 2)[..], &[1, 0xff]].concat()), FrameError::Content(7));
    let mut frames = Frames::default();
    frames.push(&head(1, longest));
    assert_eq!(frames.take(), Ok(None), "the longest is waited for");
}
