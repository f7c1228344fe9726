//! What a lane asks of its sink, so that tests can have one of their own.

use std::io;
use std::time::Duration;

use crate::logs::route::batch::Part;
use crate::logs::sink::file::Mark;
use crate::logs::sink::{Answer, Sink};

/// What a lane asks of its sink.
pub(in crate::logs::route) trait Deliver {
    async fn deliver(&mut self, part: &Part<'_>) -> Answer;
    fn mark(&self) -> Option<Mark>;
    fn sync(&self) -> io::Result<bool>;
    fn linger(&self) -> Duration;
    fn knows_batches(&self) -> bool;
    async fn close(&mut self);
}

impl Deliver for Sink {
    async fn deliver(&mut self, part: &Part<'_>) -> Answer {
        Sink::deliver(self, part).await
    }

    fn mark(&self) -> Option<Mark> {
        Sink::mark(self)
    }

    fn sync(&self) -> io::Result<bool> {
        Sink::sync(self)
    }

    fn linger(&self) -> Duration {
        Sink::linger(self)
    }

    fn knows_batches(&self) -> bool {
        Sink::knows_batches(self)
    }

    async fn close(&mut self) {
        Sink::close(self).await;
    }
}
