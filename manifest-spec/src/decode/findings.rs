//! The errors of one document while they are collected.
//!
//! Invariant: one mistake is reported once, in the order of the text, and a document of nothing
//! but mistakes costs a bounded amount of memory.

use crate::error::{Diagnostic, Diagnostics};
use crate::limits::ERRORS_SHOWN;
use crate::tree::{Place, Sources};

/// Collected beyond what is shown, because sorting by place comes after collecting.
const KEPT: usize = 20 * ERRORS_SHOWN;

/// Diagnostics with the place to sort them by.
pub(crate) struct Findings<'a> {
    sources: &'a Sources,
    found: Vec<((u16, u32), Diagnostic)>,
    /// Beyond [`KEPT`].
    more: usize,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(sources: &'a Sources) -> Self {
        Self { sources, found: Vec::new(), more: 0 }
    }

    /// Adds a diagnostic about what stands at `place`.
    pub(crate) fn add(
        &mut self,
        place: &Place,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let mut one = Diagnostic::new(key, message).at(place.origin.clone());
        one.excerpt = self.sources.excerpt(place);
        self.push((place.source, place.start), one)
    }

    /// Adds a diagnostic about something the document lacks: its place is the document itself,
    /// without a line that would look like the culprit.
    pub(crate) fn add_whole(
        &mut self,
        root: &Place,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let one = Diagnostic::new(key, message).at(root.origin.clone());
        self.push((root.source, root.start), one)
    }

    fn push(&mut self, order: (u16, u32), one: Diagnostic) -> &mut Diagnostic {
        if self.found.len() == KEPT {
            self.found.pop();
            self.more += 1;
        }
        self.found.push((order, one));
        let last = self.found.len() - 1;
        &mut self.found[last].1
    }

    /// Replaces the hint of the diagnostic added last.
    pub(crate) fn last_hint(&mut self, hint: String) {
        if let Some((_, last)) = self.found.last_mut() {
            last.hint(hint);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Everything found, sorted by place; `None` if nothing is wrong.
    pub(crate) fn finish(self) -> Option<Diagnostics> {
        let mut found = self.found;
        found.sort_by_key(|(order, _)| *order);
        // A profile that is applied is decoded twice, where it stands and where it was merged.
        found.dedup_by(|later, first| later.0 == first.0 && later.1.message == first.1.message);
        Diagnostics::cut(found.into_iter().map(|(_, one)| one).collect(), self.more)
    }
}
