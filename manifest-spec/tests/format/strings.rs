//! Promise: the small languages inside strings mean what their documentation says.

use manifest_spec::command::{Command, CommandError, ExpandError, Word};
use manifest_spec::names::{AppName, NameError, PortName, ServiceName};
use manifest_spec::quantity::{Bytes, CpuShare, Span};

fn words(text: &str) -> Result<Vec<String>, CommandError> {
    let lookup = |name: &str| (name == "PORT").then(|| "80 80".to_owned());
    Command::parse(text).map(|command| command.expand(&lookup).expect("only $PORT is used"))
}

#[test]
fn a_command_splits_without_a_shell() {
    let cases: [(&str, &[&str]); 14] = [
        ("a b  c", &["a", "b", "c"]),
        (" a\tb\n", &["a", "b"]),
        ("a 'b c' \"d e\"", &["a", "b c", "d e"]),
        ("a b'c'\"d\"e", &["a", "bcde"]),
        ("a '' \"\"", &["a", "", ""]),
        (r"a b\ c \$PORT \\", &["a", "b c", "$PORT", "\\"]),
        (r#"a '$PORT' "$PORT" $PORT"#, &["a", "$PORT", "80 80", "80 80"]),
        ("a :${PORT}x:$PORT-", &["a", ":80 80x:80 80-"]),
        ("a $$ $$PORT \"$$\"", &["a", "$", "$PORT", "$"]),
        (r#"a "\"\\\$\`\n""#, &["a", r#""\$`\n"#]),
        ("a \\\n b", &["a", "b"]),
        ("a x=1 --y=2 [z] {w} a#b a~b", &["a", "x=1", "--y=2", "[z]", "{w}", "a#b", "a~b"]),
        ("a '*' \\? '|' \";\"", &["a", "*", "?", "|", ";"]),
        ("'FOO=1' a", &["FOO=1", "a"]),
    ];
    for (text, expected) in cases {
        assert_eq!(
            words(text).as_deref().map(<[String]>::to_vec),
            Ok(expected.iter().map(|word| (*word).to_owned()).collect()),
            "{text}"
        );
    }
}

#[test]
fn what_only_a_shell_can_do_is_an_error() {
    let cases = [
        ("", CommandError::NoProgram),
        ("  ", CommandError::NoProgram),
        ("'' a", CommandError::NoProgram),
        ("a | b", CommandError::Operator('|')),
        ("a &", CommandError::Operator('&')),
        ("a;b", CommandError::Operator(';')),
        ("a <b", CommandError::Operator('<')),
        ("a 2>&1", CommandError::Operator('>')),
        ("(a)", CommandError::Operator('(')),
        ("a `b`", CommandError::Substitution),
        ("a \"`b`\"", CommandError::Substitution),
        ("a $(b)", CommandError::Substitution),
        ("a \"$(b)\"", CommandError::Substitution),
        ("a *.c", CommandError::Expansion('*')),
        ("a b?", CommandError::Expansion('?')),
        ("a ~/b", CommandError::Expansion('~')),
        ("a # b", CommandError::Comment),
        ("A=1 b", CommandError::Assignment("A".to_owned())),
        ("a $1", CommandError::LoneDollar),
        ("a b$", CommandError::LoneDollar),
        ("a ${B", CommandError::Braces),
        ("a ${B:-c}", CommandError::Braces),
        ("a 'b", CommandError::UnclosedQuote('\'')),
        ("a \"b", CommandError::UnclosedQuote('"')),
        ("a \\", CommandError::TrailingBackslash),
        ("a\nb", CommandError::LineBreak),
        ("a \0", CommandError::Nul),
    ];
    for (text, expected) in cases {
        assert_eq!(Command::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn a_list_leaves_a_script_alone() {
    let command = Command::from_list(["sh", "-c", "echo $1 $(date) \"$$x\" $PORT; exit $?"]);
    let words = command.expect("a valid list").expand(&|name| Some(format!("<{name}>")));
    let expected = ["sh", "-c", "echo $1 $(date) \"$x\" <PORT>; exit $?"].map(str::to_owned);
    assert_eq!(words, Ok(expected.to_vec()));
    assert_eq!(Command::from_words(Vec::new()), Err(CommandError::NoProgram));
    assert_eq!(Command::from_words(vec!["a\0".to_owned()]), Err(CommandError::Nul));
}

#[test]
fn an_undefined_variable_is_named() {
    let command = Command::parse("a $B ${C}").expect("a valid command");
    assert_eq!(command.variables().collect::<Vec<_>>(), ["B", "C"]);
    let error = command.expand(&|_| None).expect_err("nothing is defined");
    assert_eq!(error, ExpandError::Undefined("B".to_owned()));
    let word = Word::parse("$$5 $B").expect("a valid word");
    assert_eq!(word.expand(&|_| Some("x".to_owned())), Ok("$5 x".to_owned()));
}

#[test]
fn quantities() {
    for (text, bytes) in [
        ("0", 0),
        ("4096", 4096),
        ("1K", 1024),
        ("512M", 512 << 20),
        ("2Gi", 2 << 30),
        ("1T", 1 << 40),
    ] {
        assert_eq!(Bytes::parse(text), Ok(Bytes(bytes)), "{text}");
    }
    for text in ["", "M", "512m", "512MB", "1.5G", "-1", "+1", " 1", "1 M", "16777216T", "1i"] {
        assert!(Bytes::parse(text).is_err(), "{text}");
    }
    assert_eq!(Bytes(1536 << 20).to_string(), "1536M");
    assert_eq!(CpuShare::parse("150%"), Ok(CpuShare(150)));
    for text in ["", "%", "150", "1.5%", "-1%", "150 %", "99999999999%"] {
        assert!(CpuShare::parse(text).is_err(), "{text}");
    }
    for (text, seconds) in [("5s", 5), ("1h30m", 5400), ("14d", 14 * 86_400), ("1w1d", 8 * 86_400)]
    {
        assert_eq!(Span::parse(text).map(|span| span.0.as_secs()), Ok(seconds), "{text}");
    }
    for text in ["", "5", "s", "1m1h", "1s1s", "1.5s", "-5s", "5 s", "5S", "99999999999999999999w"]
    {
        assert!(Span::parse(text).is_err(), "{text}");
    }
}

#[test]
fn hints_say_the_right_spelling() {
    let size = |text: &str| Bytes::parse(text).expect_err("no size").hint;
    assert_eq!(size("1.5G").as_deref(), Some("write \"1536M\""));
    assert_eq!(size("512 mb").as_deref(), Some("write \"512M\""));
    assert_eq!(size("lots"), None);
    let span = |text: &str| Span::parse(text).expect_err("no duration").hint;
    assert_eq!(span("1.5h").as_deref(), Some("write \"1h30m\""));
    assert_eq!(span("5 min").as_deref(), Some("write \"5m\""));
    assert_eq!(span("1h 30m").as_deref(), Some("write \"1h30m\""));
}

#[test]
fn names() {
    assert!(AppName::new("shop-2").is_ok());
    assert_eq!(AppName::new("shop+3"), Err(NameError::Character('+')));
    assert_eq!(AppName::new("a_b"), Err(NameError::Character('_')));
    assert_eq!(AppName::new("-a"), Err(NameError::Start('-')));
    assert_eq!(AppName::new("a-"), Err(NameError::Hyphen));
    assert_eq!(AppName::new(&"a".repeat(64)), Err(NameError::TooLong));
    let moved = AppName::new("shop").expect("a valid name").with_offset(3);
    assert_eq!((moved.as_str(), moved.base()), ("shop+3", "shop"));
    assert_eq!(moved.with_offset(0).as_str(), "shop");
    let port = PortName::new("http_admin-2").expect("a valid name");
    assert_eq!(port.variable(), "PORT_HTTP_ADMIN_2");
    assert_eq!(ServiceName::new("my-db").expect("a valid name").variable_prefix(), "MY_DB");
}
