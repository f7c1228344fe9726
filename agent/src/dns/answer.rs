//! What is answered to a question.
//!
//! Invariant: pure. A name of ours that is there is never denied, whatever is asked about it; a name
//! of another domain is neither confirmed nor denied.

use super::message::{self, Code, Question, Reply};
use super::{DOMAIN, Found, Names};

/// How long an address may be kept, in seconds. A service's address changes seldom, and an asker
/// that keeps it for long would be the last to hear.
const TTL: u32 = 5;
/// How long it may be remembered that there is nothing: a service that was just deployed is asked
/// for by whoever waited for it.
const NOTHING: u32 = 1;

/// The answer to what was received, if it is owed one.
#[must_use]
pub fn answer(asked: &[u8], names: &Names, by_udp: bool) -> Option<Vec<u8>> {
    let question = match message::read(asked) {
        Ok(question) => question,
        Err(malformed) => return message::complain(malformed),
    };
    Some(question.reply(&reply(&question, names), by_udp))
}

fn reply<'a>(question: &Question<'_>, names: &'a Names) -> Reply<'a> {
    let refused = Reply { code: Code::Refused, addresses: &[], ttl: TTL, nothing: None };
    let below = question.name.strip_suffix(DOMAIN).filter(|_| question.internet);
    // "internal" as it is sent: its length, itself, and the root.
    let nothing = Some((NOTHING, DOMAIN.len() + 2));
    let found = match below {
        Some("") => Found::Above,
        Some(name) => match name.strip_suffix('.') {
            Some(name) => names.find(name),
            None => return refused,
        },
        None => return refused,
    };
    match found {
        Found::Service(addresses) => Reply { code: Code::Good, addresses, nothing, ttl: TTL },
        Found::Above => Reply { code: Code::Good, nothing, ..refused },
        Found::Nothing => Reply { code: Code::NoName, nothing, ..refused },
    }
}
