use proptest::prelude::*;

use super::super::fake::{FakeLog, Line};
use super::*;
use crate::logs::sink::tests::resource;

const SMALL: Bounds = Bounds { records: 5, bytes: 100_000 };

fn gatherer(log: &FakeLog, filter: Option<&str>, cursor: Cursor) -> Gatherer<FakeLog> {
    let filter = filter.map(|text| Filter::parse(text).unwrap());
    Gatherer::new(log.again(), Codec::Lines, filter, SMALL, cursor).unwrap()
}

/// Every batch until the log has nothing more.
fn batches(gatherer: &mut Gatherer<FakeLog>) -> Vec<Filled> {
    let mut all = Vec::new();
    loop {
        let pause = gatherer.fill().unwrap();
        if pause != Pause::Turn {
            all.extend(gatherer.close());
        }
        if pause == Pause::End {
            return all;
        }
    }
}

/// First and last number of each piece.
fn spans(batches: &[Filled]) -> Vec<(u64, u64)> {
    let pieces = batches.iter().flat_map(|filled| filled.batch.pieces());
    pieces.map(|piece| (piece.first, piece.seq)).collect()
}

fn text(filled: &Filled) -> String {
    let count = filled.batch.pieces().len();
    String::from_utf8(filled.batch.part(0..count).bytes().to_vec()).unwrap()
}

#[test]
fn what_is_missing_is_told_in_its_place() {
    let log = FakeLog::of(12);
    *log.gone.borrow_mut() = 3;
    log.lines.borrow_mut()[6] = Line::Damaged;
    log.lines.borrow_mut()[7] = Line::Damaged;
    let mut gatherer = gatherer(&log, None, Cursor { seq: Some(1), ..Cursor::default() });
    let all = batches(&mut gatherer);
    assert_eq!(
        spans(&all),
        [(2, 3), (4, 4), (5, 5), (6, 6), (7, 8), (9, 9), (10, 10), (11, 11), (12, 12)]
    );
    assert_eq!(gatherer.counts(), Counts { filtered: 0, missed: 4 });
    let all: String = all.iter().map(text).collect();
    let records: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records[0]["body"], "2 records are missing here: deleted before they were sent");
    assert_eq!(records[0]["seq"], 3);
    assert_eq!(
        records[0]["attributes"],
        serde_json::json!({ "stream": "agent", "gap": 2, "gap.first": 2,
            "gap.cause": "deleted before they were sent" })
    );
    assert_eq!(records[4]["body"], "2 records are missing here: damaged on the disk");
    assert_eq!(records[4]["ts"], records[5]["ts"]);
}

#[test]
fn a_log_that_was_never_read_begins_with_what_it_has() {
    let log = FakeLog::of(5);
    *log.gone.borrow_mut() = 2;
    let all = batches(&mut gatherer(&log, None, Cursor::default()));
    assert_eq!(spans(&all), [(3, 3), (4, 4), (5, 5)]);
}

#[test]
fn gaps_of_the_log_itself_count_for_those_they_stand_for_and_pass_every_filter() {
    let log = FakeLog::of(2);
    let own = gap(3, 6, "the disk was full", "2026-01-02T03:04:05Z");
    log.lines.borrow_mut().push(Line::Record(Arc::new(resource()), Box::new(own)));
    let mut gatherer =
        gatherer(&log, Some("level>=error"), Cursor { seq: Some(0), ..Cursor::default() });
    let all = batches(&mut gatherer);
    assert_eq!(spans(&all), [(3, 6)]);
    assert_eq!(gatherer.counts(), Counts { filtered: 2, missed: 0 });
    assert_eq!(all[0].tail.seq, Some(6));
}

#[test]
fn a_program_can_not_make_itself_a_gap() {
    let log = FakeLog::of(2);
    let mut own = gap(1, 9, "said the program", "2026-01-02T03:04:05Z");
    own.attributes.insert("stream".into(), "stdout".into());
    own.seq = 3;
    log.lines.borrow_mut().push(Line::Record(Arc::new(resource()), Box::new(own)));
    let mut gatherer =
        gatherer(&log, Some("level>=error"), Cursor { seq: Some(0), ..Cursor::default() });
    assert_eq!(batches(&mut gatherer).len(), 0);
    assert_eq!(gatherer.cursor().seq, Some(3));
}

#[test]
fn a_batch_belongs_to_one_resource() {
    let log = FakeLog::of(4);
    let second = Arc::new(Resource { started: "later".into(), ..resource() });
    for line in &mut log.lines.borrow_mut()[2..] {
        let Line::Record(resource, _) = line else { panic!() };
        *resource = Arc::clone(&second);
    }
    let all = batches(&mut gatherer(&log, None, Cursor::default()));
    let of = all.iter().map(|one| (one.batch.resource.started.as_str(), one.batch.pieces().len()));
    assert_eq!(of.collect::<Vec<_>>(), [("2026-01-02T03:00:00Z", 2), ("later", 2)]);
}

#[test]
fn one_record_is_taken_whatever_its_size() {
    let log = FakeLog::of(3);
    let bounds = Bounds { records: 100, bytes: 1 };
    let mut gatherer = Gatherer::new(log, Codec::Lines, None, bounds, Cursor::default()).unwrap();
    assert_eq!(batches(&mut gatherer).len(), 3);
}

/// A change to the log of a property test.
fn spoil(log: &FakeLog, gone: usize, damaged: &[usize], restart: usize) {
    let mut lines = log.lines.borrow_mut();
    let second = Arc::new(Resource { started: "later".into(), ..resource() });
    for (index, line) in lines.iter_mut().enumerate() {
        if let (true, Line::Record(resource, _)) = (index >= restart, &mut *line) {
            *resource = Arc::clone(&second);
        }
        if damaged.contains(&index) {
            *line = Line::Damaged;
        }
    }
    *log.gone.borrow_mut() = gone.min(lines.len());
}

proptest! {
    /// Killed wherever, and gone on with from the cursor: each record once and in order, gaps where
    /// there are some, and a batch that was on its way comes again as it was.
    #[test]
    fn from_any_cursor_on_the_rest_follows(
        count in 1_u64..40,
        gone in 0_usize..10,
        damaged in proptest::collection::vec(0_usize..40, 0..6),
        restart in 0_usize..60,
        is_filtered in proptest::bool::ANY,
        kills in proptest::collection::vec((0_usize..6, proptest::bool::ANY), 0..30),
    ) {
        let log = FakeLog::of(count);
        spoil(&log, gone, &damaged, restart);
        let filter = is_filtered.then_some("seq!=7 and seq!=8 and seq!=20");
        let start = Cursor { seq: Some(0), ..Cursor::default() };
        let whole = batches(&mut gatherer(&log, filter, start));
        let expected: Vec<(u64, u64)> = spans(&whole);
        let (mut cursor, mut seen, mut kills) = (start, Vec::new(), kills.into_iter());
        let mut again: Option<String> = None;
        let mut gathering = gatherer(&log, filter, cursor);
        loop {
            let pause = gathering.fill().unwrap();
            prop_assert!(pause != Pause::Turn);
            let Some(filled) = gathering.close() else {
                if pause == Pause::End { break }
                continue;
            };
            if let Some(again) = again.take() {
                prop_assert_eq!(text(&filled), again);
            }
            let pieces = filled.batch.pieces();
            match kills.next() {
                // So many are off, the rest was on its way as one part.
                Some((off, on_its_way)) if off < pieces.len() => {
                    let off_pieces = &pieces[..off];
                    seen.extend(off_pieces.iter().map(|piece| (piece.first, piece.seq)));
                    if let Some(last) = off_pieces.last() {
                        cursor = Cursor { seq: Some(last.seq), place: last.next, ..cursor };
                    }
                    cursor.until = None;
                    if on_its_way {
                        let part = filled.batch.part(off..pieces.len());
                        again = Some(String::from_utf8(part.bytes().to_vec()).unwrap());
                        cursor.until = Some(part.last_seq());
                    }
                    // The log has grown a little since.
                    gathering = gatherer(&log, filter, cursor);
                }
                _ => {
                    seen.extend(pieces.iter().map(|piece| (piece.first, piece.seq)));
                    cursor = filled.tail;
                }
            }
        }
        prop_assert_eq!(&seen, &expected);
        let mut next = 1;
        for (first, last) in seen {
            prop_assert!(first >= next && last >= first);
            let left_out = (next..first).all(|seq| is_filtered && [7, 8, 20].contains(&seq));
            prop_assert!(left_out, "{next} to {first}");
            next = last + 1;
        }
    }
}
