//! What is asked of systemd, and what its answers mean (org.freedesktop.systemd1(5)).
//!
//! Pure. Invariant: of all that systemd says only what answers this request counts, in whatever
//! order it comes.

use crate::bus::call::{Call, Value, Writer};
use crate::bus::hello;
use crate::bus::reply::{Kind, Malformed, Received};

pub(super) const SYSTEMD: &str = "org.freedesktop.systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub(super) const OBJECT: &str = "/org/freedesktop/systemd1";

/// A scope to be made.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Name of the unit, suffix included.
    pub unit: &'a str,
    /// What `systemctl status` shows.
    pub description: &'a str,
    /// The slice to be in; systemd's choice if there is none.
    pub slice: Option<&'a str>,
    /// The unit that hostctl itself is in.
    pub caller: Option<&'a str>,
    /// The first process in it.
    pub pid: u32,
}

/// The call that makes it.
///
/// systemd.kill(5), systemd.resource-control(5) and systemd.unit(5) explain the properties. What is
/// not set is as it should be: KillMode=control-group asks every process to end and later kills
/// them; SendSIGHUP=no, because an app is no shell; OOMPolicy= is "continue" for what is delegated.
pub fn start(wanted: Wanted<'_>) -> Call {
    let mut properties = vec![
        ("Description", Value::Text(wanted.description.to_owned())),
        ("PIDs", Value::Numbers(vec![wanted.pid])),
        ("Delegate", Value::Flag(true)),
        // Nobody asks a scope of the past how it ended: a failed one must not stay either.
        ("CollectMode", Value::Text("inactive-or-failed".to_owned())),
        // How many processes an app may have is its manifest's to say, not a default of the host's;
        // what the slice allows still holds.
        ("TasksMax", Value::Number(u64::MAX)),
    ];
    properties.extend(wanted.slice.map(|slice| ("Slice", Value::Text(slice.to_owned()))));
    // What starts later stops earlier: at shutdown hostctl is asked first, and asks the app as its
    // manifest says, before systemd asks every process of the scope.
    properties.extend(wanted.caller.map(|unit| ("Before", Value::Texts(vec![unit.to_owned()]))));
    let mut body = Writer::default();
    body.text(wanted.unit);
    body.text("fail");
    body.properties(&properties);
    body.nothing();
    let (member, signature) = ("StartTransientUnit", "ssa(sv)a(sa(sv))");
    Call { destination: SYSTEMD, path: OBJECT, interface: MANAGER, member, signature, body }
}

/// What a bus wants to hear before it passes systemd's signals on. systemd's own socket needs none
/// of it.
pub fn introductions() -> [Call; 3] {
    let mut rule = Writer::default();
    rule.text(&format!(
        "type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved'"
    ));
    let subscribe = Call {
        destination: SYSTEMD,
        path: OBJECT,
        interface: MANAGER,
        member: "Subscribe",
        signature: "",
        body: Writer::default(),
    };
    let listen = Call { member: "AddMatch", signature: "s", body: rule, ..hello() };
    [hello(), listen, subscribe]
}

/// How a request went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The scope is there.
    Started,
    /// No: an error's name and text.
    Refused(String, String),
    /// systemd tried, with this result ("failed", "canceled", "timeout" …).
    Ended(String),
}

/// What has been heard of a request so far.
#[derive(Debug, Default)]
pub struct Hearing {
    serial: u32,
    job: Option<String>,
    removed: Vec<(String, String)>,
}

impl Hearing {
    /// For the request with this serial; the calls before it belong to it.
    pub fn of(serial: u32) -> Hearing {
        Hearing { serial, ..Hearing::default() }
    }

    /// Take in a message; the answer once there is one.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn hear(&mut self, received: &Received) -> Result<Option<Answer>, Malformed> {
        let mut arguments = received.arguments();
        match received.kind {
            Kind::Error if (1..=self.serial).contains(&received.reply_to) => {
                // The text is optional.
                let text = arguments.text().unwrap_or_default();
                return Ok(Some(Answer::Refused(received.error.clone(), text)));
            }
            Kind::Return if received.reply_to == self.serial => {
                self.job = Some(arguments.text()?);
            }
            Kind::Signal if received.member == "JobRemoved" => {
                let _id = arguments.number32()?;
                let job = arguments.text()?;
                let _unit = arguments.text()?;
                self.removed.push((job, arguments.text()?));
            }
            _ => {}
        }
        // A job may be gone before the answer that names it has come.
        let result = self.removed.iter().find(|(job, _)| Some(job) == self.job.as_ref());
        Ok(result.map(|(_, result)| match result.as_str() {
            "done" => Answer::Started,
            result => Answer::Ended(result.to_owned()),
        }))
    }
}

/// The name of a scope's unit (systemd.unit(5)): what may not be in one is written as `\xNN`.
pub fn unit_name(name: &str) -> String {
    let mut unit = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' | b'-' => {
                unit.push(char::from(byte));
            }
            byte => unit.push_str(&format!("\\x{byte:02x}")),
        }
    }
    unit + ".scope"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A little-endian message with these header fields and arguments.
    fn message(kind: u8, reply_to: u32, member: &str, arguments: &[&str], id: bool) -> Received {
        let mut header = Vec::new();
        header.extend([5, 1, b'u', 0]);
        header.extend(reply_to.to_le_bytes());
        header.extend([3, 1, b's', 0]);
        header.extend((member.len() as u32).to_le_bytes());
        header.extend(member.bytes().chain([0]));
        let mut body = Vec::new();
        if id {
            body.extend(1_u32.to_le_bytes());
        }
        for argument in arguments {
            body.resize(body.len().next_multiple_of(4), 0);
            body.extend((argument.len() as u32).to_le_bytes());
            body.extend(argument.bytes().chain([0]));
        }
        let mut bytes = vec![b'l', kind, 0, 1];
        for number in [body.len(), 1, header.len()] {
            bytes.extend((number as u32).to_le_bytes());
        }
        bytes.extend(&header);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(&body);
        Received::decode(bytes).unwrap()
    }

    fn removed(job: &str, result: &str) -> Received {
        message(4, 0, "JobRemoved", &[job, "x.scope", result], true)
    }

    #[test]
    fn only_the_own_job_counts_whichever_comes_first() {
        let answer = message(2, 4, "", &["/job/7"], false);
        let mut early = Hearing::of(4);
        assert_eq!(early.hear(&removed("/job/6", "failed")), Ok(None));
        assert_eq!(early.hear(&removed("/job/7", "done")), Ok(None));
        assert_eq!(early.hear(&answer), Ok(Some(Answer::Started)));
        let mut late = Hearing::of(4);
        assert_eq!(late.hear(&answer), Ok(None));
        assert_eq!(late.hear(&message(2, 3, "", &[":1.5"], false)), Ok(None));
        assert_eq!(late.hear(&removed("/job/8", "done")), Ok(None));
        let ended = Ok(Some(Answer::Ended("canceled".to_owned())));
        assert_eq!(late.hear(&removed("/job/7", "canceled")), ended);
    }

    #[test]
    fn a_refusal_of_any_of_the_calls_is_the_answer() {
        let mut hearing = Hearing::of(4);
        assert_eq!(hearing.hear(&message(3, 9, "", &["other"], false)), Ok(None));
        let refused = Ok(Some(Answer::Refused(String::new(), "no".to_owned())));
        assert_eq!(hearing.hear(&message(3, 2, "", &["no"], false)), refused);
    }

    #[test]
    fn a_unit_has_no_byte_that_units_may_not_have() {
        assert_eq!(unit_name("hostctl-shop.web.1-812"), "hostctl-shop.web.1-812.scope");
        assert_eq!(unit_name("hello+3/é"), r"hello\x2b3\x2f\xc3\xa9.scope");
    }
}
