//! Sinks that take a batch as the body of one request: Loki, OTLP, and lines for anybody.
//!
//! Invariant: a batch is one request with one answer. Sent again, the same records are the same
//! request, with the same key: a peer can tell.

use std::fmt::Write as _;

use hyper::body::Bytes;
use hyper::header;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use manifest_spec::sink::Endpoint;

use super::answer::verdict_of;
use super::http::{Chunks, Client, Reply};
use super::{Answer, Codec, Verdict, line, loki, otlp};
use crate::logs::route::batch::Part;

/// Names a batch, so that a peer that has it already can say so
/// (draft-ietf-httpapi-idempotency-key-header).
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest text of a peer's that is told on, in characters.
const SAID: usize = 300;

/// How a batch becomes a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A header line, then a line for each record.
    Lines,
    /// A push to Loki, with the operator's labels.
    Loki(Vec<(String, String)>),
    /// An export of OTLP.
    Otlp,
}

impl Form {
    /// What is asked for at an address: below it, unless it names the whole path already.
    pub fn path(&self, endpoint: &Endpoint) -> String {
        let (path, query) = match endpoint.path.find('?') {
            Some(query) => endpoint.path.split_at(query),
            None => (endpoint.path.as_str(), ""),
        };
        let below = match self {
            Form::Lines => "",
            Form::Loki(_) => loki::PATH,
            Form::Otlp => otlp::PATH,
        };
        match path {
            _ if !path.ends_with(below) => {
                format!("{}{below}{query}", path.trim_end_matches('/'))
            }
            "" => format!("/{query}"),
            path => format!("{path}{query}"),
        }
    }
}

/// A peer that takes batches over HTTP.
#[derive(Debug)]
pub struct PushSink {
    client: Client,
    form: Form,
}

impl PushSink {
    /// The sink behind this client.
    pub fn new(client: Client, form: Form) -> PushSink {
        PushSink { client, form }
    }

    /// How records are written for it.
    pub fn codec(&self) -> Codec {
        match self.form {
            Form::Lines => Codec::Lines,
            Form::Loki(_) => Codec::Loki(loki::Stream::default()),
            Form::Otlp => Codec::Otlp,
        }
    }

    /// Send records.
    pub async fn deliver(&mut self, part: &Part<'_>) -> Answer {
        let mut headers = HeaderMap::new();
        let kind = match self.form {
            Form::Lines => "application/x-ndjson",
            Form::Loki(_) | Form::Otlp => "application/json",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Ok(key) = HeaderValue::from_str(&key(part)) {
            headers.insert(KEY, key);
        }
        match self.client.post(body(&self.form, part), &headers).await {
            Ok(reply) => answer(&self.form, &reply, part.count()),
            Err(said) => Answer::failed(said),
        }
    }
}

/// The same for the same records, and for no others: numbers are given again only by another start
/// of the instance, after a power cut.
fn key(part: &Part<'_>) -> String {
    let resource = part.resource();
    let mut key = String::new();
    let _ = write!(
        key,
        "\"{}/{}.{}.{}@{}:{}-{}\"",
        resource.host,
        resource.app,
        resource.service,
        resource.instance,
        resource.started,
        part.first_seq(),
        part.last_seq()
    );
    key
}

fn body(form: &Form, part: &Part<'_>) -> Chunks {
    // The first record needs no comma before it.
    let list = |begin: Vec<u8>, end: &'static [u8]| {
        let records = part.bytes();
        let records = records.slice(1.min(records.len())..);
        vec![begin.into(), records, Bytes::from_static(end)].into()
    };
    match form {
        Form::Lines => {
            let mut header = Vec::new();
            line::append_header(part.resource(), part.first_seq(), &mut header);
            vec![header.into(), part.bytes()].into()
        }
        Form::Loki(labels) => list(loki::begin(part.resource(), labels), loki::END),
        Form::Otlp => list(otlp::begin(part.resource()), otlp::END),
    }
}

fn answer(form: &Form, reply: &Reply, records: usize) -> Answer {
    let verdict = verdict_of(reply.status, reply.retry_after);
    if verdict != Verdict::Taken {
        return Answer::none(verdict, in_words(reply));
    }
    let mut answer = Answer::taken(records);
    let rejected = (*form == Form::Otlp).then(|| otlp::rejected(&reply.body)).flatten();
    if let Some((count, said)) = rejected {
        answer.dropped = count.min(records as u64);
        answer.said = format!("threw {count} records away: {}", cut(&said));
    }
    answer
}

fn in_words(reply: &Reply) -> String {
    let what = match reply.status {
        301 | 302 | 303 | 307 | 308 => ", a redirect, which is not followed".to_owned(),
        _ => match cut(&String::from_utf8_lossy(&reply.body)) {
            said if said.is_empty() => String::new(),
            said => format!(": {said}"),
        },
    };
    format!("answered {}{what}", reply.status)
}

/// A peer's words on one line, the beginning of them.
fn cut(said: &str) -> String {
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cut: String = words.chars().filter(|c| !c.is_control()).take(SAID).collect();
    if cut.len() < words.len() && cut.chars().count() == SAID {
        cut.push('…');
    }
    cut
}
