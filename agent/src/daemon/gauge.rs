//! What goes wrong with logs, noticed by looking at their numbers now and then.
//!
//! Invariant: one event for each loss that is new, and for each sink that is down for a minute and
//! when it takes records again; what goes on is not told again. Judging is pure; looking reads a few
//! small files of RUN, and nothing of the logs themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use manifest_spec::api::EventKind;
use manifest_spec::log::metrics::PipelineMetrics;
use tokio::sync::mpsc::UnboundedSender;

use super::chronicle::About;
use super::event::Event;
use super::world::World;
use crate::logs::choice;
use crate::plan::Directories;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);

/// How long something is wrong with a sink before it is worth an event.
const PATIENCE_MS: u64 = 60_000;

/// Look again and again until hostd ends.
pub(super) async fn watch(directories: Directories, sender: UnboundedSender<Event>) {
    let mut was_empty = true;
    loop {
        tokio::time::sleep(EVERY).await;
        let mut all = Vec::new();
        for instance in choice::running(&directories, None) {
            all.extend(choice::metrics(&directories, &instance).map(|one| (instance, one)));
            tokio::task::yield_now().await;
        }
        // A host without logs is left to sleep.
        let is_empty = all.is_empty();
        if !(is_empty && was_empty) && sender.send(Event::Logs(all)).is_err() {
            return;
        }
        was_empty = is_empty;
    }
}

/// What was seen of an instance's log.
#[derive(Debug, Default)]
pub(super) struct Seen {
    dropped: u64,
    /// Sinks that something is wrong with: since when, and whether that was told.
    down: BTreeMap<String, (u64, bool)>,
}

impl Seen {
    /// What is worth an event in these numbers, at this time.
    fn notice(&mut self, metrics: &PipelineMetrics, now_ms: u64) -> Vec<(EventKind, String)> {
        let mut events = Vec::new();
        // Counts begin anew with the process that keeps the log.
        let before = if metrics.lines_dropped < self.dropped { 0 } else { self.dropped };
        self.dropped = metrics.lines_dropped;
        match metrics.lines_dropped - before {
            0 => {}
            1 => events.push((EventKind::Warning, "a line of its log was lost".to_owned())),
            lost => events.push((EventKind::Warning, format!("{lost} lines of its log were lost"))),
        }
        let mut still = BTreeMap::new();
        for sink in &metrics.sinks {
            let name = match &sink.when {
                Some(when) => format!("{} when {when}", sink.to),
                None => sink.to.clone(),
            };
            let was = self.down.get(&name).copied();
            match (&sink.last_error, was) {
                (None, Some((_, true))) => {
                    let text = format!("the sink {name} takes records again");
                    events.push((EventKind::Progress, text));
                }
                (None, _) => {}
                (Some(error), was) => {
                    let (since, mut told) = was.unwrap_or((now_ms, false));
                    if !told && now_ms.saturating_sub(since) >= PATIENCE_MS {
                        let text = format!("the sink {name} takes no records: {}", error.said);
                        events.push((EventKind::Warning, text));
                        told = true;
                    }
                    still.insert(name, (since, told));
                }
            }
        }
        self.down = still;
        events
    }
}

impl World {
    /// The numbers of all logs, as they are now.
    pub(super) fn gauge(&mut self, all: Vec<(String, PipelineMetrics)>) {
        let now = self.now_ms();
        let mut seen = std::mem::take(&mut self.gauged);
        seen.retain(|instance, _| all.iter().any(|(one, _)| one == instance));
        for (instance, metrics) in all {
            let events = seen.entry(instance.clone()).or_default().notice(&metrics, now);
            for (kind, text) in events {
                let mut parts = instance.split('.').map(str::to_owned);
                let (app, service) = (parts.next().unwrap_or_default(), parts.next());
                let about = About { app, service, instance: Some(instance.clone()), version: None };
                self.chronicle.add(about, kind, text);
            }
        }
        self.gauged = seen;
    }
}

#[cfg(test)]
mod tests {
    use manifest_spec::log::metrics::{SinkError, SinkMetrics};

    use super::*;

    fn metrics(dropped: u64, error: Option<&str>) -> PipelineMetrics {
        let last_error = error.map(|said| SinkError { at: String::new(), said: said.to_owned() });
        let sink = SinkMetrics { to: "journal".into(), last_error, ..SinkMetrics::default() };
        PipelineMetrics { lines_dropped: dropped, sinks: vec![sink], ..PipelineMetrics::default() }
    }

    #[test]
    fn each_loss_is_told_once() {
        let mut seen = Seen::default();
        let mut told = |dropped| {
            let events = seen.notice(&metrics(dropped, None), 0);
            events.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told(0), "");
        assert_eq!(told(5), "5 lines of its log were lost");
        assert_eq!(told(5), "");
        assert_eq!(told(6), "a line of its log was lost");
        // The process that counts was started anew.
        assert_eq!(told(2), "2 lines of its log were lost");
        assert_eq!(told(0), "");
    }

    #[test]
    fn a_sink_is_told_of_when_it_is_down_for_a_minute_and_when_it_is_back() {
        let mut seen = Seen::default();
        let mut told = |error, second: u64| seen.notice(&metrics(0, error), second * 1000);
        assert_eq!(told(Some("refused"), 0), []);
        assert_eq!(told(Some("refused"), 59), []);
        let down = "the sink journal takes no records: timed out".to_owned();
        assert_eq!(told(Some("timed out"), 60), [(EventKind::Warning, down)]);
        assert_eq!(told(Some("refused"), 600), []);
        let back = "the sink journal takes records again".to_owned();
        assert_eq!(told(None, 610), [(EventKind::Progress, back)]);
        assert_eq!(told(None, 620), []);
        // A short trouble is none.
        assert_eq!(told(Some("refused"), 630), []);
        assert_eq!(told(None, 640), []);
        assert_eq!(told(Some("refused"), 695), []);
    }
}
