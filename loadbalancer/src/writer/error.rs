//! Why the table is not what it should be.

use std::fmt;

use super::Answer;

/// Why a change was not made, or is not known to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError {
    /// The kernel refused a change: nothing of its batch was done.
    Refused {
        /// What the refused message was about.
        object: String,
        /// The reason.
        answer: Answer,
    },
    /// The kernel did not tell something.
    Unread(String, Answer),
    /// The kernel's answer about something makes no sense.
    Unclear(String),
    /// The table was removed as soon as it was made.
    Vanished,
    /// Clients come and go faster than they can be forgotten.
    Restless,
}

impl WriteError {
    /// There is no socket any more: errno(3) of opening another.
    pub fn closed(errno: i32) -> WriteError {
        let answer = Answer { sequence: 0, errno, text: None };
        WriteError::Unread("anything: there is no socket".to_owned(), answer)
    }

    /// The reason's number (errno(3)); 0 where it has none.
    pub fn errno(&self) -> i32 {
        match self {
            WriteError::Refused { answer, .. } | WriteError::Unread(_, answer) => answer.errno,
            _ => 0,
        }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Refused { object, answer } => {
                write!(f, "the kernel refuses {object}: {answer}")
            }
            WriteError::Unread(object, answer) => {
                write!(f, "the kernel does not tell {object}: {answer}")
            }
            WriteError::Unclear(object) => write!(f, "the kernel's answer about {object} is none"),
            WriteError::Vanished => f.write_str("the table is removed as soon as it is made"),
            WriteError::Restless => {
                f.write_str("clients come and go faster than they can be forgotten")
            }
        }
    }
}

impl std::error::Error for WriteError {}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::io::Error::from_raw_os_error(self.errno).fmt(f)?;
        self.text.iter().try_for_each(|text| write!(f, " ({text})"))
    }
}
