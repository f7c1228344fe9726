//! Orders on their way to process 1, and the commands that were ordered.
//!
//! Invariant: nobody waits for process 1, which may be waiting for us to hear it; an order that does
//! not go now is kept in its place. What is kept is bounded: commands by their number, signals
//! because one that waits already is not added again, as the kernel itself does with them. Every
//! command is answered for once.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::AsFd;

use host_sys::{Errno, Result};

use crate::sandbox::message::{Execution, Failure, Line, Order, Streams};
use crate::sandbox::{Unfit, unfit};

/// Most commands that run at once.
const MOST: usize = 64;

/// What process 1 is to do.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: VecDeque<Order>,
    /// Commands without an answer.
    unanswered: BTreeSet<u32>,
}

/// A command that will not run.
pub(super) type Refused = (u32, Failure);

impl Orders {
    /// Whether something waits until process 1 takes it.
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A signal, to whomever.
    pub(super) fn add_signal(&mut self, order: Order) {
        let same = |waiting: &Order| match (waiting, &order) {
            (Order::Signal(a), Order::Signal(b)) => a == b,
            (
                Order::SignalExecution { id, signal },
                Order::SignalExecution { id: other, signal: number },
            ) => id == other && signal == number,
            _ => false,
        };
        if !self.waiting.iter().any(same) {
            self.waiting.push_back(order);
        }
    }

    /// A command.
    pub(super) fn add(&mut self, execution: Execution) -> std::result::Result<(), Refused> {
        let id = execution.id;
        let refused = |detail: &str| Err((id, because(None, detail.to_owned())));
        if self.unanswered.len() >= MOST {
            return refused(&format!("{MOST} commands run inside already; end one first"));
        }
        if let Streams::Passed(streams) = &execution.streams {
            match streams.iter().find_map(|fd| unfit(fd.as_fd())) {
                Some(Unfit::Directory) => return refused("a stream is a directory"),
                Some(Unfit::Socket) => {
                    return refused("a stream is a socket that stays under its maker's rules");
                }
                None => {}
            }
        }
        if !self.unanswered.insert(id) {
            return refused("another command has this number");
        }
        self.waiting.push_back(Order::Execute(execution));
        Ok(())
    }

    /// Send what goes. The answer is the commands that can't be sent at all.
    pub(super) fn send(&mut self, line: &Line) -> Result<Vec<Refused>> {
        let mut refused = Vec::new();
        while let Some(order) = self.waiting.front() {
            match (line.order(order), order) {
                (Ok(()), _) => {}
                (Err(Errno::EAGAIN), _) => break,
                // It has just ended, and the line will say so.
                (Err(Errno::EPIPE | Errno::ECONNRESET), _) => {
                    self.waiting.clear();
                    break;
                }
                (Err(errno), Order::Execute(execution)) => {
                    let id = execution.id;
                    let detail = match errno {
                        Errno::E2BIG | Errno::EMSGSIZE => {
                            "its words and its environment are longer than 128 KiB"
                        }
                        _ => "process 1 of the sandbox can't be told of it",
                    };
                    self.unanswered.remove(&id);
                    refused.push((id, because(Some(errno), detail.to_owned())));
                }
                (Err(errno), _) => return Err(errno),
            }
            self.waiting.pop_front();
        }
        Ok(refused)
    }

    /// A command was answered for.
    pub(super) fn answered(&mut self, id: u32) {
        self.unanswered.remove(&id);
    }

    /// Every command without an answer: nothing of the sandbox is left.
    pub(super) fn end(&mut self) -> BTreeSet<u32> {
        self.waiting.clear();
        std::mem::take(&mut self.unanswered)
    }
}

/// A failure that is no step's.
pub(super) fn because(errno: Option<Errno>, detail: String) -> Failure {
    Failure { step: 0, errno, detail }
}

#[cfg(test)]
mod tests {
    use host_sys::file;
    use host_sys::terminal::Size;

    use super::*;
    use crate::sandbox::message::Arrived;

    fn execution(id: u32, word: &str, streams: Streams) -> Execution {
        Execution {
            id,
            arguments: vec![word.to_owned()],
            environment: Vec::new(),
            directory: "/".into(),
            streams,
        }
    }

    fn terminal(id: u32) -> Execution {
        execution(id, "true", Streams::Terminal(Size::new(24, 80)))
    }

    #[test]
    fn what_does_not_go_waits_in_its_order_and_stays_bounded() {
        let (inside, outside) = Line::pair().unwrap();
        let mut orders = Orders::default();
        let long = "x".repeat(60_000);
        for id in 0..MOST as u32 {
            orders.add(execution(id, &long, Streams::Terminal(Size::new(1, 1)))).unwrap();
            for signal in [15, 15, 9] {
                orders.add_signal(Order::SignalExecution { id, signal });
                orders.add_signal(Order::Signal(10));
            }
        }
        let (id, failure) = orders.add(terminal(1000)).unwrap_err();
        assert!(id == 1000 && failure.detail.contains("64 commands"), "{failure:?}");
        assert!(orders.send(&outside).unwrap().is_empty());
        assert!(orders.are_waiting(), "the socket holds them all");
        let mut arrived = Vec::new();
        while arrived.len() < 3 * MOST + 1 {
            match inside.next_order().unwrap().unwrap() {
                Arrived::Whole(Order::Execute(execution)) => arrived.push((execution.id, 0)),
                Arrived::Whole(Order::SignalExecution { id, signal }) => arrived.push((id, signal)),
                Arrived::Whole(Order::Signal(signal)) => arrived.push((1000, signal)),
                Arrived::Stripped { id } => panic!("{id}"),
            }
            assert!(orders.send(&outside).unwrap().is_empty());
        }
        let mut expected: Vec<_> =
            (0..MOST as u32).flat_map(|id| [(id, 0), (id, 15), (id, 9)]).collect();
        expected.insert(2, (1000, 10));
        assert_eq!(arrived, expected);
        assert_eq!(orders.end().len(), MOST);
    }

    #[test]
    fn a_command_is_refused_in_words() {
        let (_inside, outside) = Line::pair().unwrap();
        let mut orders = Orders::default();
        orders.add(terminal(1)).unwrap();
        assert!(orders.add(terminal(1)).unwrap_err().1.detail.contains("this number"));
        let null = || file::open_null().unwrap();
        let directory = file::hold_root().unwrap();
        let streams = Streams::Passed([null(), directory, null()]);
        let (_, failure) = orders.add(execution(2, "true", streams)).unwrap_err();
        assert_eq!(failure.detail, "a stream is a directory");
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let streams = Streams::Passed([socket.into(), null(), null()]);
        let (_, failure) = orders.add(execution(2, "true", streams)).unwrap_err();
        assert!(failure.detail.contains("socket"), "{failure:?}");
        let long = "x".repeat(200_000);
        orders.add(execution(2, &long, Streams::Terminal(Size::new(1, 1)))).unwrap();
        let refused = orders.send(&outside).unwrap();
        assert!(refused[0].1.detail.contains("128 KiB"), "{refused:?}");
        orders.add(terminal(2)).unwrap();
        orders.answered(1);
        assert_eq!(orders.end(), BTreeSet::from([2]));
    }
}
