use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::limits::PLUGIN_LINE_BYTES;

use super::{Answer, AnswerError, Backend, Key, Question, answer_schema, question_schema};

/// The line of the design.
const LINE: &str = r#"{"v":1,"id":7,"service":"api.web","backends":[{"id":"api.web.1","address":"10.99.0.2:9000","healthy":true,"draining":false,"weight":100,"connections":12,"rate":80.5,"latency_ms":{"p50":3.0,"p95":11.0},"cpu":0.4,"memory":73400320,"labels":{"zone":"rack1"},"version":"14"}]}"#;

fn question() -> Question {
    let mut question: Question = serde_json::from_str(LINE).unwrap();
    let backend = |id: &str, healthy, draining| Backend {
        id: id.to_owned(),
        healthy,
        draining,
        connections: None,
        rate: None,
        latency_ms: None,
        cpu: None,
        memory: None,
        labels: BTreeMap::new(),
        version: None,
        ..question.backends[0].clone()
    };
    let more = [
        backend("api.web.2", true, false),
        backend("sick", false, false),
        backend("leaving", true, true),
    ];
    question.backends.extend(more);
    question
}

fn read(line: &str) -> Result<Answer, AnswerError> {
    Answer::read(line.as_bytes(), &question())
}

#[test]
fn a_question_is_a_line() {
    let question: Question = serde_json::from_str(LINE).unwrap();
    assert_eq!(question.line(), format!("{LINE}\n"));
    // What is not known is not in it.
    let line = self::question().line();
    let bare = r#"{"id":"api.web.2","address":"10.99.0.2:9000","healthy":true,"draining":false,"weight":100}"#;
    assert!(line.contains(bare), "{line}");
}

#[test]
fn answers() {
    let slots = |key, slots: &[&str]| {
        let slots = slots.iter().map(|slot| (*slot).to_owned()).collect();
        Ok(Answer::Slots { key, slots })
    };
    let weights = |weights: &[(&str, u32)]| {
        Ok(Answer::Weights(weights.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect()))
    };
    assert_eq!(read(r#"{"id":7,"weights":{"api.web.1":100}}"#), weights(&[("api.web.1", 100)]));
    let both = r#"{"id":7,"key":"source","slots":["api.web.1","api.web.2"]}"#;
    assert_eq!(read(both), slots(Key::Source, &["api.web.1", "api.web.2"]));
    assert_eq!(read(r#"{"slots":["api.web.2"],"id":7}"#), slots(Key::Turn, &["api.web.2"]));
    // Who can't get connections is left out, whatever the plugin thinks.
    let line = r#"{"id":7,"weights":{"sick":5,"leaving":5,"api.web.2":0,"api.web.1":1}}"#;
    assert_eq!(read(line), weights(&[("api.web.1", 1), ("api.web.2", 0)]));
    assert_eq!(read(r#"{"id":7,"slots":["sick","api.web.1"]}"#), slots(Key::Turn, &["api.web.1"]));
}

#[test]
fn what_is_no_answer() {
    for (line, text) in [
        ("", "no JSON object: EOF while parsing a value at line 1 column 0"),
        ("hello", "no JSON object: expected value at line 1 column 1"),
        (r#"{"id":7,"weight":{}}"#, r#"an answer has no "weight""#),
        (r#"{"weights":{}}"#, r#""id" is to repeat the question's"#),
        (r#"{"id":"7","weights":{}}"#, r#""id" is to repeat the question's"#),
        (r#"{"id":6,"weights":{}}"#, "an answer to question 6, which is over"),
        (r#"{"id":7}"#, r#"an answer has either "weights" or "slots""#),
        (r#"{"id":7,"weights":{},"slots":[]}"#, r#"an answer has either "weights" or "slots""#),
        (r#"{"id":7,"weights":[1]}"#, r#""weights" has numbers from 0 to 1000: see "[1]""#),
        (
            r#"{"id":7,"weights":{"sick":-1}}"#,
            r#""weights" has numbers from 0 to 1000: see "sick""#,
        ),
        (
            r#"{"id":7,"weights":{"sick":1001}}"#,
            r#""weights" has numbers from 0 to 1000: see "sick""#,
        ),
        (r#"{"id":7,"weights":{"x":1}}"#, r#"the question has no backend "x""#),
        (r#"{"id":7,"weights":{"sick":1}}"#, "nobody is left who can get new connections"),
        (r#"{"id":7,"weights":{"api.web.1":0}}"#, "nobody is left who can get new connections"),
        (r#"{"id":7,"slots":[]}"#, r#""slots" is a list of 1 to 128 names"#),
        (r#"{"id":7,"slots":[1]}"#, r#""slots" is a list of 1 to 128 names"#),
        (r#"{"id":7,"slots":["leaving"]}"#, "nobody is left who can get new connections"),
        (
            r#"{"id":7,"key":"moon","slots":["api.web.1"]}"#,
            r#""key" stands beside "slots" and is one of "turn", "random", "source", "source-port""#,
        ),
    ] {
        assert_eq!(read(line).unwrap_err().to_string(), text, "{line}");
    }
    let beside = r#"{"id":7,"key":"turn","weights":{"api.web.1":1}}"#;
    assert_eq!(read(beside), Err(AnswerError::Key));
    let many = format!(r#"{{"id":7,"slots":[{}"api.web.1"]}}"#, r#""api.web.1","#.repeat(128));
    assert_eq!(read(&many), Err(AnswerError::Slots));
    let long = " ".repeat(PLUGIN_LINE_BYTES + 1);
    assert_eq!(read(&long), Err(AnswerError::TooLong(PLUGIN_LINE_BYTES + 1)));
}

/// The schema names what the types have, and nothing else.
#[test]
fn the_schema_has_the_keys_of_the_types() {
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let line: Value = serde_json::from_str(LINE).unwrap();
    let schema = question_schema();
    assert_eq!(keys(&schema["properties"]), keys(&line));
    let backend = &schema["properties"]["backends"]["items"];
    assert_eq!(keys(&backend["properties"]), keys(&line["backends"][0]));
    let bare = serde_json::to_value(&question().backends[1]).unwrap();
    assert_eq!(backend["required"], json!(keys(&bare)));
    let answers = answer_schema();
    assert_eq!(keys(&answers["oneOf"][0]["properties"]), ["id", "weights"]);
    assert_eq!(keys(&answers["oneOf"][1]["properties"]), ["id", "key", "slots"]);
}
