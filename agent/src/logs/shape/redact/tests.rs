use proptest::prelude::*;
use serde_json::json;

use super::*;

const SECRETS: [&str; 4] = ["hunter2/\"\\ é", "s3cr3t-value", "cr3t-value-more", "abc d+e"];

fn redactor() -> Redactor {
    Redactor::new(SECRETS).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3).map(|group| {
        let of = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        let letter = |index: usize| match index <= group.len() {
            true => char::from(LETTERS[(bits >> (18 - 6 * index) & 63) as usize]),
            false => '=',
        };
        (0..4).map(letter).collect::<String>()
    });
    groups.collect()
}

fn percent(text: &str, also: fn(char) -> bool) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() && !also(c);
    let one = |c: char| match plain(c) {
        true => c.to_string(),
        false => c.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect(),
    };
    text.chars().map(one).collect()
}

/// A secret as programs write it.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap();
    let json = json[1..json.len() - 1].to_owned();
    let units = secret.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    vec![
        secret.to_owned(),
        percent(secret, |_| false),
        percent(secret, |_| true),
        percent(secret, |_| false).replace("%20", "+"),
        json.clone(),
        json.replace('/', "\\/"),
        serde_json::to_string(&json).unwrap(),
        units,
        format!("{secret:?}"),
    ]
}

#[test]
fn every_form_of_a_secret_is_replaced_whole() {
    for secret in SECRETS {
        for form in forms(secret) {
            let clean = redactor().text(&format!("a={form};")).into_owned();
            let form = form.trim_matches('"');
            assert!(!clean.contains(form), "{form}: {clean}");
            assert!(clean.contains(REDACTED), "{form}: {clean}");
            assert!(clean.len() <= REDACTED.len() + 7, "{form}: {clean}");
        }
    }
}

#[test]
fn base64_is_found_at_any_place_of_what_was_encoded() {
    for secret in SECRETS {
        for before in ["", "a", "me", "me:", "user:"] {
            for after in ["", "\n", "@h", "xyz"] {
                for url in [false, true] {
                    let mut text = base64(format!("{before}{secret}{after}").as_bytes());
                    if url {
                        text = text.replace('+', "-").replace('/', "_");
                    }
                    let clean = redactor().text(&text).into_owned();
                    // What is left has at most the six bits at either end.
                    let left: usize = clean.split(REDACTED).map(str::len).sum();
                    let most = base64(before.as_bytes()).len() + base64(after.as_bytes()).len() + 4;
                    assert!(clean.contains(REDACTED) && left <= most, "{text}: {clean}");
                }
            }
        }
    }
}

#[test]
fn secrets_that_overlap_or_touch_become_one() {
    let clean = |text: &str| redactor().text(text).into_owned();
    assert_eq!(clean("x s3cr3t-value-more y"), "x [redacted] y");
    assert_eq!(clean("s3cr3t-values3cr3t-value"), "[redacted]");
    assert_eq!(clean("s3cr3t-value s3cr3t-value"), "[redacted] [redacted]");
    assert_eq!(clean("s3cr3t-valu"), "s3cr3t-valu");
    assert_eq!(clean("100% \\ sure %zz \\q"), "100% \\ sure %zz \\q");
}

#[test]
fn a_secret_of_several_lines_is_found_line_by_line() {
    let key = "-----BEGIN KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQ\n}\n";
    let redactor = Redactor::new([key]).unwrap();
    assert_eq!(redactor.text("key: MIIEvgIBADANBgkqhkiG9w0BAQ."), "key: [redacted].");
    assert_eq!(redactor.text("}"), "}");
    assert_eq!(redactor.text(&format!("{key:?}")), "\"[redacted]\"");
}

#[test]
fn values_are_cleaned_in_all_their_parts() {
    let redactor = Redactor::new(["123456", "s3cr3t"]).unwrap();
    let mut value = json!({
        "a": ["s3cr3t", {"xs3cr3tx": 1.0}], "pin": 123_456, "big": 91_234_567, "n": null, "f": 0.5,
    });
    redactor.value(&mut value);
    let clean = json!({
        "a": ["[redacted]", {"x[redacted]x": 1.0}], "pin": "[redacted]", "big": "9[redacted]7",
        "n": null, "f": 0.5,
    });
    assert_eq!(value, clean);
}

#[test]
fn bounds_hold() {
    let many: Vec<_> = (0..10_000).map(|number| format!("secret-number-{number:09}")).collect();
    assert_eq!(Redactor::new(&many).err(), Some(TooMany));
    assert_eq!(Redactor::check(&many), Err(TooMany));
    assert!(Redactor::new(&many[..500]).is_ok());
    // Many private keys: their forms in base64 would be too much.
    let keys: Vec<_> =
        (0..10).map(|key| format!("{key}{}\n", "0123456789abcdef".repeat(200))).collect();
    let redactor = Redactor::new(keys.iter().map(String::as_str).chain(["short-one"])).unwrap();
    assert_eq!(redactor.text(&format!("<{}>", keys[3].trim())), "<[redacted]>");
    assert_eq!(redactor.text(&base64(b"short-one")), "[redacted]");
    let long = "0123456789abcdef".repeat(600);
    let redactor = Redactor::new([&long]).unwrap();
    assert!(redactor.longest() < LINE / 16, "{}", redactor.longest());
    assert_eq!(redactor.text(&format!("<{long}>")), "<[redacted]>");
    assert_eq!(format!("{redactor:?}").matches("0123").count(), 0);
    assert_eq!(Redactor::new([""]).unwrap().text("abc"), "abc");
}

proptest! {
    #[test]
    fn no_secret_is_left(
        secrets in prop::collection::vec("[a-c\"\\\\%+/ é\n]{4,9}", 1..5),
        around in prop::collection::vec("[a-c\"\\\\%+/ é]{0,4}", 6),
        chosen in prop::collection::vec((any::<prop::sample::Index>(), 0..9_usize), 0..5),
    ) {
        let redactor = Redactor::new(&secrets).unwrap();
        let mut text = around[5].clone();
        for ((index, form), around) in chosen.iter().zip(&around) {
            text.push_str(&forms(index.get::<String>(&secrets))[*form]);
            text.push_str(around);
        }
        let clean = redactor.text(&text);
        for secret in &secrets {
            prop_assert!(!clean.contains(secret.as_str()), "{secret:?} in {clean:?} of {text:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'%'), Just(b'u'),
            Just(b'{'), Just(b'd')], 0..200),
    ) {
        redactor().bytes(&bytes);
        redactor().cut(&bytes, bytes.len() / 2);
    }
}
