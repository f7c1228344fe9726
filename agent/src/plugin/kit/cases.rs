//! The cases, in the order in which they are tried.

use std::collections::BTreeMap;

use manifest_spec::plugin::{Backend, Latency, Question, VERSION};
use serde_json::{Value, json};

/// A few questions of one kind.
#[derive(Debug, Clone)]
pub struct Case {
    /// A word or two.
    pub name: &'static str,
    /// What a plugin must do.
    pub promise: &'static str,
    /// The questions, one after the other.
    pub rounds: Vec<Round>,
}

/// A question, and the line that asks it, which may say more than this version knows.
#[derive(Debug, Clone)]
pub struct Round {
    /// The question.
    pub question: Question,
    /// As it is written, with its newline.
    pub line: String,
}

impl Round {
    fn new(question: Question) -> Round {
        Round { line: question.line(), question }
    }
}

/// All cases. Numbers of questions rise from one to the next, over all of them.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut id = 0;
    let case = |name, promise, rounds: Vec<Vec<Backend>>| {
        let rounds = rounds.into_iter().map(|backends| question(&mut id, "shop.web", backends));
        Case { name, promise, rounds: rounds.map(Round::new).collect() }
    };
    let mut all = plain(case);
    let mut id = u64::from(u32::MAX);
    all.push(Case {
        name: "later versions",
        promise: "ignore keys that it does not know",
        rounds: vec![later(question(&mut id, "shop.web", three()))],
    });
    all.push(Case {
        name: "names and labels",
        promise: "take any text in names and labels as JSON writes it",
        rounds: vec![Round::new(question(&mut id, "api", strange()))],
    });
    all.push(Case {
        name: "large numbers",
        promise: "repeat ids above 2^32, and take counts above it",
        rounds: vec![Round::new(question(&mut id, "api", large()))],
    });
    all
}

fn plain(mut case: impl FnMut(&'static str, &'static str, Vec<Vec<Backend>>) -> Case) -> Vec<Case> {
    let out = |change: fn(&mut Backend)| {
        let mut backends = three();
        change(&mut backends[1]);
        backends
    };
    let unhealthy = |one: &mut Backend| one.healthy = false;
    let draining = |one: &mut Backend| one.draining = true;
    let mut last = three();
    (last[0].healthy, last[2].draining) = (false, true);
    let bare = (1..=3).map(backend).collect();
    let many = (1..=128).map(measured).collect();
    vec![
        case("one", "give a single backend everything", vec![vec![measured(1)]]),
        case("three", "answer for three that are well", vec![three()]),
        case("unhealthy", "leave somebody when one is not healthy", vec![out(unhealthy)]),
        case("draining", "leave somebody when one drains", vec![out(draining)]),
        case("the last", "give everything to the only one that is left", vec![last]),
        case("unmeasured", "answer where nothing is measured yet", vec![bare]),
        case(
            "idle",
            "answer where nobody is connected",
            vec![three().into_iter().map(idle).collect()],
        ),
        case("weights", "take weights from 1 to 1000", vec![weighted()]),
        case(
            "changes",
            "follow backends that come and go",
            vec![
                vec![measured(1), measured(2)],
                vec![measured(2), measured(3)],
                vec![measured(4)],
                three(),
            ],
        ),
        case("again", "answer the same question again and again", vec![three(); 20]),
        case("many", "answer for 128 backends", vec![many]),
    ]
}

fn question(id: &mut u64, service: &str, backends: Vec<Backend>) -> Question {
    *id += 1;
    Question { v: VERSION, id: *id, service: service.to_owned(), backends }
}

/// One that was just started.
fn backend(number: u32) -> Backend {
    Backend {
        id: format!("shop.web.{number}"),
        address: format!("10.99.0.{number}:9000"),
        healthy: true,
        draining: false,
        weight: 100,
        connections: None,
        rate: None,
        latency_ms: None,
        cpu: None,
        memory: None,
        labels: BTreeMap::new(),
        version: None,
    }
}

/// One of which everything is known.
fn measured(number: u32) -> Backend {
    let zone = format!("rack{}", number % 3 + 1);
    Backend {
        connections: Some(u64::from(number) * 7),
        rate: Some(f64::from(number) * 12.5),
        latency_ms: Some(Latency { p50: f64::from(number), p95: f64::from(number) * 4.25 }),
        cpu: Some(f64::from(number) / 8.0),
        memory: Some(u64::from(number) << 24),
        labels: BTreeMap::from([("zone".to_owned(), zone)]),
        version: Some("14".to_owned()),
        ..backend(number)
    }
}

fn three() -> Vec<Backend> {
    (1..=3).map(measured).collect()
}

fn idle(backend: Backend) -> Backend {
    let latency_ms = Some(Latency { p50: 0.0, p95: 0.0 });
    let (connections, rate, cpu) = (Some(0), Some(0.0), Some(0.0));
    Backend { connections, rate, latency_ms, cpu, memory: Some(0), ..backend }
}

fn weighted() -> Vec<Backend> {
    let weights = [1, 500, 1000].into_iter();
    three().into_iter().zip(weights).map(|(one, weight)| Backend { weight, ..one }).collect()
}

/// Text that only a reader of JSON reads right.
fn strange() -> Vec<Backend> {
    let ids = ["[fd99::1]:80", "a\"b\\c", "{}[],:"];
    let labels = ["\"}]", "\u{1}\t\r\n", "Žluťoučký 🐎"];
    let mut all = three();
    for (backend, (id, label)) in all.iter_mut().zip(ids.iter().zip(labels)) {
        backend.id = (*id).to_owned();
        backend.labels = BTreeMap::from([("zone".to_owned(), label.to_owned())]);
        backend.version = Some("id\":\"x".to_owned());
    }
    all
}

fn large() -> Vec<Backend> {
    let mut all = three();
    all[0].memory = Some(1 << 40);
    all[1].connections = Some(1 << 33);
    all[2].rate = Some(1.5e12);
    all
}

/// The same question with keys that a later version may add.
fn later(question: Question) -> Round {
    let mut value = json!(question);
    value["tick"] = json!({ "every_ms": 1000, "weights": [1, 2] });
    for backend in value["backends"].as_array_mut().into_iter().flatten() {
        backend["errors"] = json!({ "rate": 0.5, "last": Value::Null });
        backend["history"] = json!([[1, 2, 3], { "id": "x" }]);
    }
    Round { line: format!("{value}\n"), question }
}
