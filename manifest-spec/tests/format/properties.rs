//! Promise: no input makes the format panic, and what it prints it reads back.

use manifest_spec::command::{Command, Word};
use manifest_spec::policy::HostPolicy;
use manifest_spec::quantity::{Bytes, CpuShare, Span};
use manifest_spec::{Diagnostics, Document, Layer};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

const SEED: &str = r#"
name = "forum"
env = { LANG = "C", A = "$HOST" }

[services.db]
run = "/usr/bin/postgres -D '/srv/db' -p $PORT"
port = { port = 5432, interface = "lo", activate = true }
access = { write = ["data:/srv/db", { path = "x", exec = true }], connect = ["[2001:db8::]/32:443"] }

[services.web]
dir = "/srv/forum"
run = ["puma", "-b", "tcp://127.0.0.1:$PORT"]
port = 3000
needs = ["db"]
health = { http = "/up", every = "5s" }
limits = { memory = "512M", cpu = "150%", processes = 64 }

[hooks.digest]
cron = "0 7 * * *"
zone = "Europe/Prague"
run = "rake ${LANG}"

[logs]
keep = "500M 14d"
sinks = ["journal", { to = "http://127.0.0.1/x", when = "level>=warn" }]

[profile.dev]
services.web.count = 2
"#;

/// Text with the characters that mean something somewhere in the format.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        prop_oneof![
            Just("\""),
            Just("'"),
            Just("\\"),
            Just("$"),
            Just("${"),
            Just("}"),
            Just("["),
            Just("]"),
            Just("="),
            Just("."),
            Just(","),
            Just("\n"),
            Just("\u{1b}"),
            Just("\0"),
            Just(".."),
            Just("/"),
            Just("data:"),
            Just("PORT"),
            Just(" "),
            Just("%"),
            Just("M"),
            Just("9999999999999999999"),
            Just("@"),
            Just("*"),
            Just(":"),
            Just("é"),
            Just("数")
        ]
        .prop_map(str::to_owned),
        "[a-z0-9]{1,4}",
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A valid manifest with some of its bytes replaced, removed or doubled.
fn mutated() -> impl Strategy<Value = String> {
    vec((0..SEED.len(), 0..4_u8, text()), 1..4).prop_map(|edits| {
        let mut manifest = SEED.to_owned();
        for (at, kind, piece) in edits {
            let at = at.min(manifest.len().saturating_sub(1));
            match kind {
                0 => manifest.insert_str(at.min(manifest.len()), &piece),
                1 if at < manifest.len() => drop(manifest.remove(at)),
                2 => manifest.truncate(at),
                _ => {
                    let end = (at + 7).min(manifest.len());
                    manifest.replace_range(at..end, &piece);
                }
            }
            if !manifest.is_ascii() {
                manifest = manifest.replace(|c: char| !c.is_ascii(), "?");
            }
        }
        manifest
    })
}

/// What everyone may rely on of what is printed.
fn is_printable(wrong: &Diagnostics) -> bool {
    let bidi = |c: char| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !wrong.to_string().chars().any(|c| c.is_control() && c != '\n' || bidi(c))
}

fn check(text: &str) -> Result<(), Diagnostics> {
    Document::parse("app.toml", text)?.manifest()?.offset(3)?;
    Ok(())
}

#[test]
fn the_seed_is_valid() {
    check(SEED).expect("the seed of the mutations is a valid manifest");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..256)) {
        if let Err(wrong) = Document::from_bytes("app.toml", &bytes).and_then(|one| one.manifest()) {
            prop_assert!(is_printable(&wrong));
        }
    }

    #[test]
    fn any_text(text in text()) {
        for key in ["name", "run", "port", "health", "route", "env.A", "access.read", "logs.keep"] {
            let (table, key) = key.split_once('.').unwrap_or(("", key));
            let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
            let quoted = serde_json::to_string(&text).expect("text is JSON");
            let value = if key == "read" { format!("[{quoted}]") } else { quoted };
            if let Err(wrong) = check(&format!("{header}{key} = {value}\n")) {
                prop_assert!(is_printable(&wrong));
            }
        }
    }

    #[test]
    fn any_mutated_manifest(text in mutated()) {
        if let Err(wrong) = check(&text) {
            prop_assert!(is_printable(&wrong));
        }
        let _ = HostPolicy::parse("policy.toml", &text);
    }

    #[test]
    fn any_override(key in prop_oneof![
        Just("port".to_owned()), Just("services.web.run".to_owned()), Just("env.A".to_owned()),
        Just("services.web.access.read".to_owned()), Just("services.web.port".to_owned()), text()
    ], value in text()) {
        let mut document = Document::parse("app.toml", SEED).expect("the seed is valid");
        let set = format!("{key}={value}");
        let variable = format!("HOSTCTL_SET_{}", key.replace('.', "__").to_uppercase());
        let layers = [
            Layer::Set(&set),
            Layer::Variable { name: &variable, value: &value },
            Layer::Unset(&key),
            Layer::Profile(&value),
            Layer::DropIn { file: "drop-in.toml", text: &value },
        ];
        for layer in layers {
            if let Err(wrong) = document.apply(layer) {
                prop_assert!(is_printable(&wrong));
            }
            if let Err(wrong) = document.manifest() {
                prop_assert!(is_printable(&wrong));
            }
            let _ = document.origin(&key);
            let _ = document.nearest_origin(&value);
        }
    }

    #[test]
    fn a_command_reads_back(words in vec("[ -~]{0,8}|\\PC{0,4}", 1..5)) {
        if let Ok(command) = Command::from_words(words.clone()) {
            let printed = command.to_string();
            prop_assert_eq!(Command::parse(&printed), Ok(command.clone()), "{}", printed);
            prop_assert_eq!(command.expand(&|_| None), Ok(words));
        }
    }

    #[test]
    fn a_parsed_command_reads_back(text in text()) {
        if let Ok(command) = Command::parse(&text) {
            let printed = command.to_string();
            prop_assert_eq!(Command::parse(&printed), Ok(command), "{}", printed);
        }
        let _ = Word::parse(&text);
    }

    #[test]
    fn an_expanded_value_is_never_split(value in text()) {
        let command = Command::parse("program $A\"-$A\" ${A}b").expect("a valid command");
        let words = command.expand(&|_| Some(value.clone()));
        let expected = vec!["program".to_owned(), format!("{value}-{value}"), format!("{value}b")];
        prop_assert_eq!(words, Ok(expected));
    }

    #[test]
    fn a_quantity_reads_back(number in any::<u64>(), shift in 0..48_u32, percent in any::<u32>()) {
        for bytes in [Bytes(number), Bytes(number >> shift << shift)] {
            prop_assert_eq!(Bytes::parse(&bytes.to_string()), Ok(bytes));
        }
        let share = CpuShare(percent);
        prop_assert_eq!(CpuShare::parse(&share.to_string()), Ok(share));
        for span in [
            Span(std::time::Duration::from_nanos(number)),
            Span(std::time::Duration::from_secs(number >> 8)),
            Span(std::time::Duration::from_millis(u64::from(percent))),
        ] {
            prop_assert_eq!(Span::parse(&span.to_string()), Ok(span), "{}", span);
        }
    }

    #[test]
    fn any_quantity(text in text()) {
        let _ = Bytes::parse(&text);
        let _ = CpuShare::parse(&text);
        let _ = Span::parse(&text);
    }
}

#[test]
fn a_hostile_manifest_is_refused_quickly() {
    let mut hostile = vec![
        "a".repeat(2 << 20),
        format!("name = \"{}\"", "x".repeat(1 << 19)),
        format!("x = {}", "[".repeat(200_000)),
        format!("{}x = 1", "a.".repeat(400_000)),
        "[a]\n".repeat(200_000),
        "x =\n".repeat(200_000),
        format!("[env]\n{}", (0..60_000).map(|n| format!("K{n} = \"$X\"\n")).collect::<String>()),
    ];
    let chain: String = (0..1024)
        .map(|n| format!("[services.s{n}]\nrun = \"x\"\nneeds = [\"s{}\"]\n", (n + 1) % 1024))
        .collect();
    hostile.push(format!("name = \"x\"\n{chain}"));
    for text in hostile {
        let start = std::time::Instant::now();
        let wrong = check(&text).expect_err("hostile manifests are refused");
        assert!(wrong.to_string().len() < 64 << 10, "the answer stays short");
        assert!(start.elapsed().as_secs() < 10, "{}… took too long", &text[..20]);
    }
}
