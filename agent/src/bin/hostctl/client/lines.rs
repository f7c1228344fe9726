//! Events as they happen: one JSON object a line (NDJSON).
//!
//! Invariant: a line is given out whole and once. Its end without an error is hostd's.

use agent::failure::Error;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::Client;

/// A line longer than this is no event.
const LONGEST: usize = 1 << 20;

/// A stream of lines.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    held: Vec<u8>,
    client: Client,
}

impl Lines {
    pub(super) fn new(body: Incoming, client: Client) -> Lines {
        Lines { body, held: Vec::new(), client }
    }

    /// The next line without its end; `None` when hostd has no more.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let rest = self.held.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.held, rest);
                line.pop();
                return Ok(Some(line));
            }
            if self.held.len() > LONGEST {
                return Err(self.client.place.lost("a line without an end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.held.extend(frame.data_ref().into_iter().flatten()),
                Some(Err(error)) => return Err(self.client.place.lost(&error.to_string())),
                None => return Ok(None),
            }
        }
    }
}
