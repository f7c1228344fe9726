//! The part of the survey about names of services.

use super::{Answers, Finding};
use crate::dns::{DOMAIN, PLACE};

/// What is known of names below the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamesFound {
    /// No hostd answers for them.
    Nobody,
    /// A hostd does, but this host's resolver does not ask it; whether that is systemd-resolved.
    Unasked {
        /// See above.
        resolved: bool,
    },
    /// The resolver finds them.
    Known,
}

pub(super) fn findings(answers: &Answers) -> Finding {
    const NAME: &str = "names";
    const COST: &str = "services are found by address and port on this host; inside sandboxes \
                        names work all the same";
    match answers.names {
        NamesFound::Known => Finding::ok(NAME, format!("NAME.{DOMAIN} leads to services")),
        NamesFound::Nobody => {
            Finding::ok(NAME, format!("no hostd runs here that would answer for NAME.{DOMAIN}"))
        }
        NamesFound::Unasked { resolved } => {
            let what = format!("this host's resolver does not ask hostd for NAME.{DOMAIN}");
            let remedy = match resolved {
                true => "`hostctl names announce` tells systemd-resolved".to_owned(),
                false => format!("have the resolver ask {PLACE} for {DOMAIN}: see docs/names.md"),
            };
            Finding::note(NAME, what, COST).remedy(remedy)
        }
    }
}
