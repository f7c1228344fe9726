//! What a sink says to a part of a batch, and what the status codes of HTTP mean in these words.
//!
//! Invariant: pure. An answer is about the records only if the peer said so: what speaks of the
//! address, of rights or of the moment never counts against a record.

use std::time::{Duration, SystemTime};

/// Longest wait that a peer can ask for.
const LONGEST: Duration = Duration::from_secs(3600);

/// What became of the records that a sink did not take, or that it took all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has all of them.
    Taken,
    /// It does not want what is in them, now or later.
    Refused,
    /// They are too much at once.
    TooLarge,
    /// Not now; after this long, if it said so.
    Busy(Option<Duration>),
    /// It can't be asked, or did not answer in a way that says anything about the records.
    Failed,
}

/// The answer to a part of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// So many from the first on it has for certain, whatever became of the others.
    pub taken: usize,
    /// About the others.
    pub verdict: Verdict,
    /// In words, for people; empty when all went well.
    pub said: String,
    /// Of those that it took, so many it says it has thrown away (OTLP's partial success).
    pub dropped: u64,
}

impl Answer {
    /// All are taken.
    pub fn taken(count: usize) -> Answer {
        Answer { taken: count, verdict: Verdict::Taken, said: String::new(), dropped: 0 }
    }

    /// None is taken.
    pub fn none(verdict: Verdict, said: impl Into<String>) -> Answer {
        Answer { taken: 0, verdict, said: said.into(), dropped: 0 }
    }

    /// None is taken, and nothing is known about why the records should not be.
    pub fn failed(said: impl Into<String>) -> Answer {
        Answer::none(Verdict::Failed, said)
    }

    /// The first `taken` are, then something went wrong.
    #[must_use]
    pub fn after(mut self, taken: usize) -> Answer {
        self.taken += taken;
        self
    }
}

/// What a status code says about the records of a request (RFC 9110, RFC 6585).
pub fn verdict_of(status: u16, retry_after: Option<Duration>) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        413 => Verdict::TooLarge,
        // The two that speak of what was sent. Others of the 4xx speak of the address (404, 405,
        // 410), of rights (401, 403, 407) or of the moment (408, 409, 425): records wait for them.
        400 | 422 => Verdict::Refused,
        429 | 503 => Verdict::Busy(retry_after.map(|wait| wait.min(LONGEST))),
        _ => Verdict::Failed,
    }
}

/// The value of `Retry-After` (RFC 9110, 10.2.3): seconds, or a date; `now` since 1970.
pub fn retry_after(value: &str, now: Duration) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date =
        httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_records_counts_against_them() {
        let wait = Some(Duration::from_secs(7));
        let cases = [
            (Verdict::Taken, vec![200, 202, 204]),
            (Verdict::Refused, vec![400, 422]),
            (Verdict::TooLarge, vec![413]),
            (Verdict::Busy(wait), vec![429, 503]),
            (Verdict::Failed, vec![100, 301, 401, 403, 404, 405, 408, 409, 410, 421, 451]),
            (Verdict::Failed, vec![500, 502, 504, 507, 599]),
        ];
        for (verdict, statuses) in cases {
            for status in statuses {
                assert_eq!(verdict_of(status, wait), verdict, "{status}");
            }
        }
        assert_eq!(verdict_of(429, Some(Duration::MAX)), Verdict::Busy(Some(LONGEST)));
        assert_eq!(verdict_of(503, None), Verdict::Busy(None));
    }

    #[test]
    fn waits_are_seconds_or_dates() {
        let now = Duration::from_secs(784_111_777 - 30);
        let seconds = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds(" 120 "), Some(120));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        for wrong in ["", "soon", "-1", "1.5", "Sun, 06 Nov 1994", "Sun, 99 Abc 1994 08:49:37 GMT"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
