//! Names and quantities as values of the document.

use crate::decode::{Fault, Text};
use crate::limits::{CPU_PERCENT, MEMORY_LEAST, SPAN_DAYS};
use crate::names::corrected;
use crate::names::{AppName, HookName, NameError, PolicyName, PortName, ProfileName, ServiceName};
use crate::quantity::{Bytes, CpuShare, QuantityError, Span};
use crate::shape::TextShape;

/// A lower-case DNS label, see [`crate::names`].
const LABEL: &str = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$";

impl From<NameError> for Fault {
    fn from(error: NameError) -> Self {
        Self::because(error.to_string())
    }
}

impl From<QuantityError> for Fault {
    fn from(error: QuantityError) -> Self {
        Self { message: None, hint: error.hint }
    }
}

macro_rules! label {
    ($type:ident, $expected:literal, $pattern:expr, $examples:expr) => {
        impl Text for $type {
            const SHAPE: TextShape =
                TextShape { expected: $expected, pattern: Some($pattern), examples: $examples };

            fn read(text: &str) -> Result<Self, Fault> {
                Self::new(text).map_err(|error| {
                    let fault = Fault::from(error);
                    match corrected(text) {
                        Some(name) => fault.hint(format!("write \"{name}\"")),
                        None => fault,
                    }
                })
            }
        }
    };
}

label!(AppName, "an app's name such as \"shop\"", LABEL, &["shop"]);
label!(ServiceName, "a service's name such as \"web\"", LABEL, &["web"]);
label!(HookName, "a hook's name such as \"digest\"", LABEL, &["digest"]);
label!(PolicyName, "a policy such as \"round-robin\"", LABEL, &PolicyName::BUILT_IN);
label!(ProfileName, "a profile's name such as \"dev\"", LABEL, &["dev"]);
label!(
    PortName,
    "a port's name such as \"metrics\"",
    "^[a-z][a-z0-9_]*(-[a-z0-9_]+)*$",
    &["metrics"]
);

impl Text for Bytes {
    const SHAPE: TextShape = TextShape {
        expected: Self::EXPECTED,
        pattern: Some("^[0-9]+([KMGT]i?)?$"),
        examples: &["512M", "2G"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let bytes = Self::parse(text).map_err(|error| match error.hint {
            Some(_) => Fault::from(error),
            None => Fault::default()
                .hint("write a number with K, M, G or T, or drop the key for no limit"),
        })?;
        if bytes.0 < MEMORY_LEAST {
            return Err(Fault::because(format!("{bytes} is less than the least size, 1M"))
                .hint("write a unit: \"512M\" is 512 mebibytes"));
        }
        Ok(bytes)
    }
}

impl Text for CpuShare {
    const SHAPE: TextShape =
        TextShape { expected: Self::EXPECTED, pattern: Some("^[0-9]+%$"), examples: &["150%"] };

    fn read(text: &str) -> Result<Self, Fault> {
        let share = Self::parse(text)?;
        if !(1..=CPU_PERCENT).contains(&share.0) {
            let message = format!("expected a share from 1% to {CPU_PERCENT}%, found {share}");
            return Err(Fault::because(message).hint("100% is one core"));
        }
        Ok(share)
    }
}

impl Text for Span {
    const SHAPE: TextShape = TextShape {
        expected: Self::EXPECTED,
        pattern: Some("^([0-9]+(w|d|h|m|s|ms|us|ns))+$"),
        examples: &["20s", "1h30m", "14d"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let span = Self::parse(text)?;
        if span.0.is_zero() {
            return Err(
                Fault::because("a duration of zero").hint("write a longer one, or drop the key")
            );
        }
        if span.0.as_secs() > SPAN_DAYS * 86_400 {
            return Err(Fault::because(format!("a duration of more than {SPAN_DAYS} days"))
                .hint("write a shorter one, or drop the key"));
        }
        Ok(span)
    }
}
