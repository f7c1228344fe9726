//! The strings that say when something runs or is asked: schedules, requests, events, health.

use super::network::Route;
use crate::decode::{Fault, Text};
use crate::error::quoted;
use crate::manifest::Days;
use crate::schedule::{Expression, ScheduleError};
use crate::shape::TextShape;
use crate::suggest::did_you_mean;

/// A schedule, as written.
#[derive(Debug, Clone)]
pub(crate) struct Cron(pub(crate) String);

impl Text for Cron {
    const SHAPE: TextShape = TextShape {
        expected: "a schedule such as \"0 7 * * *\" or \"@daily\"",
        pattern: Some("^(@[a-z]+|[^\\s]+( +[^\\s]+){4})$"),
        examples: &["0 7 * * *", "@daily"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        // Whether a day that both name ever comes depends on another key: the hook is asked later.
        match Expression::parse(text, Some(Days::Either)) {
            Ok(_) | Err(ScheduleError::Never(_)) => Ok(Self(text.to_owned())),
            Err(error) => Err(fault(&error)),
        }
    }
}

fn fault(error: &ScheduleError) -> Fault {
    let fault = match error {
        // What was expected is known from the key.
        ScheduleError::Word(_) => Fault::default(),
        error => Fault::because(error.to_string()),
    };
    match error.hint() {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// A time zone's name, as written; whether it exists is the host's business.
#[derive(Debug, Clone)]
pub(crate) struct Zone(pub(crate) String);

impl Text for Zone {
    const SHAPE: TextShape = TextShape {
        expected: "a time zone such as \"Europe/Prague\" or \"local\"",
        pattern: Some("^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"),
        examples: &["Europe/Prague", "UTC", "local"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-');
        let is_zone = text.len() <= 64
            && text.split('/').all(|part| !part.is_empty() && part.chars().all(is_plain));
        if is_zone { Ok(Self(text.to_owned())) } else { Err(Fault::default()) }
    }
}

/// A request that starts a hook.
#[derive(Debug, Clone)]
pub(crate) struct HttpTrigger {
    pub(crate) method: Option<String>,
    pub(crate) route: String,
}

/// Methods of RFC 9110 and RFC 5789 that a program can answer.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

impl Text for HttpTrigger {
    const SHAPE: TextShape = TextShape {
        expected: "a request such as \"POST api.example.com/thumbnail\"",
        pattern: Some("^([A-Z]+ +)?[A-Za-z0-9.-]+(/[^\\s]*)?$"),
        examples: &["POST api.example.com/thumbnail"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let mut words = text.split_ascii_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        if words.next().is_some() {
            return Err(Fault::default().hint("write one method and one route"));
        }
        let Some(route) = second else {
            return Route::read(first).map(|route| Self { method: None, route: route.0 });
        };
        if !METHODS.contains(&first) {
            let message = format!("expected an HTTP method, found {}", quoted(first));
            let hint = did_you_mean(first, METHODS)
                .unwrap_or_else(|| format!("the methods are {}", METHODS.join(", ")));
            return Err(Fault::because(message).hint(hint));
        }
        let route = Route::read(route)?;
        Ok(Self { method: Some(first.to_owned()), route: route.0 })
    }
}

/// An event that starts a hook.
#[derive(Debug, Clone)]
pub(crate) struct Event(pub(crate) String);

const EVENTS: [&str; 3] = ["unhealthy", "deployed", "crashed"];

impl Text for Event {
    const SHAPE: TextShape = TextShape {
        expected: "an event: \"unhealthy\", \"deployed\" or \"crashed\"",
        pattern: Some("^(unhealthy|deployed|crashed)$"),
        examples: &EVENTS,
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if EVENTS.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault { message: None, hint: did_you_mean(text, EVENTS) })
    }
}

/// The path of a health check.
#[derive(Debug, Clone)]
pub(crate) struct HttpPath(pub(crate) String);

impl Text for HttpPath {
    const SHAPE: TextShape = TextShape {
        expected: "a path such as \"/up\"",
        pattern: Some("^/[!-~]*$"),
        examples: &["/up"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if !text.starts_with('/') {
            let path = match text.split_once("://") {
                Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
                None => format!("/{text}"),
            };
            return Err(Fault::default().hint(format!("write {}", quoted(&path))));
        }
        if text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault::because("a path of a request has printable ASCII characters only, no blanks")
            .hint("write other characters as %XX"))
    }
}
