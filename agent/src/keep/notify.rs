//! What a program says of itself through `$NOTIFY_SOCKET` (sd_notify(3)).
//!
//! Invariant: what is not understood is left aside; nothing a program says is more than news.

/// What one datagram said, as far as it means something here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// READY=1: it serves.
    pub ready: bool,
    /// STOPPING=1: it is ending by itself.
    pub stopping: bool,
    /// STATUS=: a line for people.
    pub status: Option<String>,
}

/// Longest STATUS= that is kept, in bytes.
const STATUS: usize = 1024;

/// Read a datagram: lines `NAME=value`.
pub fn read(datagram: &[u8]) -> Said {
    let mut said = Said::default();
    for line in String::from_utf8_lossy(datagram).lines() {
        match line.split_once('=') {
            Some(("READY", "1")) => said.ready = true,
            Some(("STOPPING", "1")) => said.stopping = true,
            Some(("STATUS", text)) => {
                let end =
                    (0..=STATUS.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
                said.status = Some(text[..end.unwrap_or(0)].to_owned());
            }
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_words_of_sd_notify_are_understood() {
        let said = read(b"STATUS=warming up\nREADY=1\nMAINPID=12\n");
        assert_eq!(said, Said { ready: true, stopping: false, status: Some("warming up".into()) });
        assert!(read(b"STOPPING=1").stopping);
        assert_eq!(read(b"READY=0\nREADY\n=1\n"), Said::default());
        let long = format!("STATUS={}", "ä".repeat(STATUS));
        assert_eq!(read(long.as_bytes()).status.unwrap().len(), STATUS);
    }

    proptest! {
        #[test]
        fn no_datagram_is_too_much(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            read(&bytes);
        }
    }
}
