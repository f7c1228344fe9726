//! Signals as something that can be waited for beside hostd.

use std::future::poll_fn;
use std::task::Poll;

use agent::failure::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that come here instead of doing what they do by default.
#[derive(Debug)]
pub struct Arriving {
    streams: Vec<(i32, Signal)>,
}

impl Arriving {
    /// These signals, from now on.
    pub fn take(numbers: &[i32]) -> Result<Arriving, Error> {
        let stream = |number: &i32| Ok((*number, signal(SignalKind::from_raw(*number))?));
        let streams = numbers.iter().map(stream).collect::<std::io::Result<_>>();
        let streams = streams.map_err(|error| {
            Error::Unreachable(format!("signals can't be waited for: {error}"), "try again".into())
        })?;
        Ok(Arriving { streams })
    }

    /// The next one's number.
    pub async fn next(&mut self) -> i32 {
        poll_fn(|context| {
            for (number, stream) in &mut self.streams {
                if let Poll::Ready(Some(())) = stream.poll_recv(context) {
                    return Poll::Ready(*number);
                }
            }
            Poll::Pending
        })
        .await
    }
}
