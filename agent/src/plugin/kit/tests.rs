use std::collections::BTreeSet;

use manifest_spec::plugin::Question;
use serde_json::Value;

use super::cases;

#[test]
fn every_question_is_one_and_has_an_answer() {
    let mut last = 0;
    let mut names = BTreeSet::new();
    for case in cases() {
        assert!(names.insert(case.name) && !case.rounds.is_empty(), "{}", case.name);
        for round in case.rounds {
            let read: Question = serde_json::from_str(&round.line).unwrap();
            assert_eq!(read, round.question, "{}", case.name);
            assert!(round.line.ends_with('\n') && round.line.matches('\n').count() == 1);
            assert!(round.question.eligible().next().is_some(), "{}", case.name);
            assert!(read.id > last, "{}: ids rise", case.name);
            last = read.id;
            // Numbers that every language reads whole.
            assert!(last < 1 << 53);
        }
    }
}

#[test]
fn one_case_says_more_than_this_version_knows() {
    let later = cases().into_iter().find(|case| case.name == "later versions").unwrap();
    let value: Value = serde_json::from_str(&later.rounds[0].line).unwrap();
    assert!(value["tick"].is_object() && value["backends"][0]["history"].is_array());
}
