//! Events and records as they happen: one JSON object a line (NDJSON).
//!
//! Invariant: a line is given out whole and once. Its end without an error is hostd's.

use agent::failure::Error;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::Client;

/// A line longer than this is neither an event nor a record.
const LONGEST: usize = 4 << 20;

/// A stream of lines.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    held: Vec<u8>,
    /// How much of that was given out.
    given: usize,
    instances: usize,
    client: Client,
}

impl Lines {
    /// `instances`: how many instances the answer says it is from.
    pub(super) fn new(body: Incoming, instances: usize, client: Client) -> Lines {
        Lines { body, held: Vec::new(), given: 0, instances, client }
    }

    /// How many instances' records they are; 0 for events.
    pub fn instances(&self) -> usize {
        self.instances
    }

    /// The next line without its end; `None` when hostd has no more.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if let Some(line) = self.waiting() {
                return Ok(Some(line));
            }
            self.held.drain(..self.given);
            self.given = 0;
            if self.held.len() > LONGEST {
                return Err(self.client.place.lost("a line without an end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    self.held.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                }
                Some(Err(error)) => return Err(self.client.place.lost(&error.to_string())),
                None => return Ok(None),
            }
        }
    }

    /// The next line, if it is here already.
    pub fn waiting(&mut self) -> Option<Vec<u8>> {
        let left = self.held.get(self.given..)?;
        let end = left.iter().position(|byte| *byte == b'\n')?;
        let line = left[..end].to_vec();
        self.given += end + 1;
        Some(line)
    }
}
