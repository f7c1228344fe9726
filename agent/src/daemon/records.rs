//! What apps wrote, for whoever asks through hostd.
//!
//! Invariant: hostd's loop never waits for it: logs are read in pieces, and between two of them
//! everything else gets its turn. A client that does not take what it asked for costs the memory of
//! a few pieces; one that goes away ends the reading.

use std::path::PathBuf;
use std::time::Duration;

use hyper::body::Bytes;
use manifest_spec::api::{ErrorBody, LogLine, LogQuery};
use manifest_spec::log::{Severity, VERSION, attribute};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::refusal;
use crate::clock::since_epoch;
use crate::logs::read::{Progress, ReadError, Reading, when};
use crate::logs::stamp;

/// Bytes of records that are read at once: about a millisecond's work.
const PIECE: usize = 64 * 1024;

/// Pieces that wait for a slow client.
const WAITING: usize = 4;

/// Most instances of one reading: each takes an open file and a buffer.
const MOST: usize = 256;

/// Between two looks for more: longer the longer nothing came.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(200);

/// Between two looks for instances that are new.
const INSTANCES: Duration = Duration::from_secs(1);

/// Begin to read: how many instances it is about, and what passes, as lines.
///
/// # Errors
/// A query that can't be understood, or that nothing can be found for.
pub(super) fn begin(
    logs: PathBuf,
    query: LogQuery,
) -> Result<(usize, mpsc::Receiver<Bytes>), ErrorBody> {
    let reading = Reading::open(&logs, &query).map_err(|error| refused(&error))?;
    if reading.instances() == 0 && !query.follow {
        return Err(refusal::no_logs(query.app.as_deref()));
    }
    if reading.instances() > MOST {
        return Err(refusal::too_many_logs(reading.instances()));
    }
    let (sender, receiver) = mpsc::channel(WAITING);
    let count = reading.instances();
    tokio::task::spawn_local(read(reading, query, sender));
    Ok((count, receiver))
}

async fn read(mut reading: Reading, query: LogQuery, sender: mpsc::Sender<Bytes>) {
    let mut pause = SHORTEST;
    let mut looked = Instant::now();
    loop {
        let mut bytes = Vec::new();
        let progress = reading.step(PIECE, &mut |line| put(&mut bytes, &line));
        if let Err(error) = &progress {
            put(&mut bytes, &broken(&query, error));
        }
        if !bytes.is_empty() {
            pause = SHORTEST;
            if sender.send(Bytes::from(bytes)).await.is_err() {
                return;
            }
        }
        match progress {
            Err(_) => return,
            Ok(Progress::More) => {
                tokio::task::yield_now().await;
                continue;
            }
            Ok(Progress::Idle) => {}
        }
        let over = reading.until().is_some_and(|until| when::nanos(since_epoch()) > until);
        if !query.follow || over {
            return;
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = sender.closed() => return,
        }
        pause = (pause * 2).min(LONGEST);
        if looked.elapsed() >= INSTANCES {
            // What can't be looked at now can be a second later.
            let _ = reading.look_again();
            looked = Instant::now();
        }
    }
}

fn put(bytes: &mut Vec<u8>, line: &LogLine) {
    // Text, numbers and maps with text keys: all of that is JSON.
    if serde_json::to_writer(&mut *bytes, line).is_ok() {
        bytes.push(b'\n');
    }
}

/// The last line of an answer that can't go on: its status is sent already.
fn broken(query: &LogQuery, error: &ReadError) -> LogLine {
    let mut attributes = serde_json::Map::new();
    attributes.insert(attribute::STREAM.to_owned(), "agent".into());
    attributes.insert(attribute::GAP.to_owned(), 0.into());
    attributes.insert(attribute::GAP_CAUSE.to_owned(), error.to_string().into());
    LogLine {
        v: VERSION,
        app: query.app.clone().unwrap_or_default(),
        service: query.service.clone().unwrap_or_default(),
        instance: query.instance.unwrap_or_default(),
        version: None,
        host: String::new(),
        boot_id: String::new(),
        started: String::new(),
        seq: 0,
        ts: stamp(since_epoch()),
        severity: Severity::Error,
        body: format!("the rest can't be read: {error}"),
        attributes,
        trace_id: None,
        span_id: None,
    }
}

fn refused(error: &ReadError) -> ErrorBody {
    match error {
        ReadError::Selection(error) => refusal::bad_request(&error.to_string()),
        ReadError::Io(..) => refusal::unread(&error.to_string()),
    }
}
