use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(line: &str) -> Option<Fields> {
    Fields::read(Form::likely(line.as_bytes())?, line)
}

fn fields(line: &str) -> Fields {
    read(line).unwrap_or_else(|| panic!("{line} is text"))
}

fn attributes(line: &str) -> Value {
    Value::Object(fields(line).attributes)
}

#[test]
fn names_of_log_libraries_are_known() {
    let cases = [
        // pino, bunyan, slog, zerolog, logrus, python-json-logger, structlog, ECS, MEL of .NET.
        (r#"{"level":50,"time":1,"msg":"m"}"#, Severity::Error, json!({"time": 1})),
        (
            r#"{"time":"t","level":"WARN","msg":"m","a":{"b":1}}"#,
            Severity::Warn,
            json!({"time": "t", "a": {"b": 1}}),
        ),
        (r#"{"level":"fatal","message":"m"}"#, Severity::Fatal, json!({})),
        (r#"{"levelname":"ERROR","message":"m"}"#, Severity::Error, json!({})),
        (r#"{"event":"m","level":"debug","n":null}"#, Severity::Debug, json!({"n": null})),
        (r#"{"log.level":"warning","message":"m"}"#, Severity::Warn, json!({})),
        (
            r#"{"log":{"level":"error","logger":"x"},"message":"m"}"#,
            Severity::Error,
            json!({"log": {"logger": "x"}}),
        ),
        (
            r#"{"LogLevel":"Information","Message":"m"}"#,
            Severity::Info,
            json!({"LogLevel": "Information"}),
        ),
        // More than a severity says is kept.
        (r#"{"level":"notice","msg":"m"}"#, Severity::Info, json!({"level": "notice"})),
        (r#"{"level":35,"msg":"m"}"#, Severity::Info, json!({"level": 35})),
        (r#"{"severity":3,"body":"m"}"#, Severity::Error, json!({"severity": 3})),
        (r#"{"level":"50","body":"m"}"#, Severity::Error, json!({"level": "50"})),
        // The first of several; what is none stays.
        (
            r#"{"lvl":"info","level":"error","msg":"m","message":"n"}"#,
            Severity::Error,
            json!({"lvl": "info", "message": "n"}),
        ),
        (
            r#"{"level":"up","severity":"error","msg":{"a":1},"message":"m"}"#,
            Severity::Error,
            json!({"level": "up", "msg": {"a": 1}}),
        ),
        (
            "level=error msg=m n=1 empty= q=\"a \\\"b\\\" \\n\"",
            Severity::Error,
            json!({"n": "1", "empty": "", "q": "a \"b\" \n"}),
        ),
        (
            "time=2026-01-02T03:04:05Z lvl=warn msg=\"m\"",
            Severity::Warn,
            json!({"time": "2026-01-02T03:04:05Z"}),
        ),
    ];
    for (line, severity, attributes) in cases {
        let fields = fields(line);
        assert_eq!(fields.severity, Some(severity), "{line}");
        assert_eq!(fields.body.as_deref(), Some("m"), "{line}");
        assert_eq!(Value::Object(fields.attributes), attributes, "{line}");
    }
    let silent = fields(r#"{"a":1,"msg":2}"#);
    assert_eq!((silent.severity, silent.body), (None, None));
}

#[test]
fn ids_are_taken_if_they_are_ids() {
    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let parent = format!("00-{trace}-{span}-01");
    for line in [
        format!(r#"{{"trace_id":"{trace}","span_id":"{span}"}}"#),
        format!(r#"{{"traceId":"{}","spanId":"{span}"}}"#, trace.to_uppercase()),
        format!(r#"{{"trace.id":"{trace}","span.id":"{span}"}}"#),
        format!("trace_id={trace} span_id={span}"),
        format!(r#"{{"traceparent":"{parent}"}}"#),
    ] {
        let fields = fields(&line);
        let id = fields.trace_id.expect("a trace's id");
        assert_eq!((id[0], id[15]), (0x0a, 0x9c), "{line}");
        assert_eq!(fields.span_id.expect("a span's id")[7], 0x31, "{line}");
        // What it says besides is kept.
        let left = if line.contains("parent") { json!({"traceparent": parent}) } else { json!({}) };
        assert_eq!(Value::Object(fields.attributes), left, "{line}");
    }
    for id in ["", "0af7", &"0".repeat(32), &"g".repeat(32), &"\u{e9}".repeat(16)] {
        let fields = fields(&format!(r#"{{"trace_id":"{id}","traceparent":"00-{id}-{span}-01"}}"#));
        assert_eq!((fields.trace_id, fields.span_id), (None, None), "{id}");
        assert_eq!(fields.attributes["trace_id"], id);
    }
}

#[test]
fn what_the_agent_says_can_not_be_forged() {
    let line = r#"{"stream":"stderr","part":1,"last_part":false,"bytes_hex":"00","gap":3,
        "gap.first":1,"exception.fingerprint":"0","exception.stacktrace":"none","app.stream":"x",
        "exception":{"fingerprint":"1"},"msg":"m"}"#;
    let expected = json!({
        "app.stream": "stderr", "app.part": 1, "app.last_part": false, "app.bytes_hex": "00",
        "app.gap": 3, "app.gap.first": 1, "app.exception.fingerprint": "0",
        "app.exception.stacktrace": "none", "app.app.stream": "x",
        "app.exception": {"fingerprint": "1"},
    });
    assert_eq!(attributes(line), expected);
    assert_eq!(attributes("gap=1 stream=2"), json!({"app.gap": "1", "app.stream": "2"}));
    assert_eq!(
        attributes(r#"{"exception":"text","gaps":1}"#),
        json!({"exception": "text", "gaps": 1})
    );
}

#[test]
fn text_is_not_mangled() {
    for line in [
        "",
        "{",
        "{}",
        "{not json}",
        "{\"a\":1} and more",
        "{\"a\":1,\"a\":2}",
        "{'a': 1}",
        "[1]",
        "a=1",
        "a=1 b",
        "a b=1 c=2",
        "a=1 b=2 and more",
        "a = 1 b = 2",
        "a=1 a=2",
        "a=\"1\"b=2",
        "a=\"1 b=2",
        "a=1\tb=2",
        "=1 =2",
        "1=2 3=4",
        "GET /x?a=1 b=2",
        "x==y a==b c",
        "a=x\"y\" b=1",
    ] {
        assert_eq!(read(line), None, "{line}");
    }
    assert_eq!(attributes("a=x=y b="), json!({"a": "x=y", "b": ""}));
    assert_eq!(attributes("{\"a\":1} \r"), json!({"a": 1}));
}

#[test]
fn stack_traces_are_told() {
    let stack = "TypeError: no\n    at f (/srv/shop/cart.js:3:11)";
    let text = json!(stack).to_string();
    let told = json!({
        "exception.type": "TypeError", "exception.message": "no", "exception.stacktrace": stack,
        "exception.fingerprint": "", "exception.language": "node",
    });
    for (line, left) in [
        (format!(r#"{{"stack":{text}}}"#), json!({})),
        (format!(r#"{{"exception":{text},"a":1}}"#), json!({"a": 1})),
        (format!(r#"{{"error.stack":{text}}}"#), json!({})),
        (format!(r#"{{"exc_info":{text}}}"#), json!({})),
        (
            format!(r#"{{"err":{{"type":"TypeError","stack":{text}}}}}"#),
            json!({"err": {"type": "TypeError"}}),
        ),
        (
            format!(r#"{{"error":{{"message":"no","stack":{text}}}}}"#),
            json!({"error": {"message": "no"}}),
        ),
        (
            format!(r#"{{"exception":{{"stacktrace":{text}}},"stack":"other"}}"#),
            json!({"app.exception": {}, "stack": "other"}),
        ),
    ] {
        let fields = fields(&line);
        assert_eq!(fields.severity, Some(Severity::Error), "{line}");
        let mut found = fields.attributes;
        let fingerprint = &mut found["exception.fingerprint"];
        assert_eq!(fingerprint.as_str().map(str::len), Some(16), "{line}");
        *fingerprint = "".into();
        let mut expected = left;
        expected.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
        assert_eq!(Value::Object(found), expected, "{line}");
    }
    assert_eq!(
        fields(&format!(r#"{{"level":"warn","stack":{text}}}"#)).severity,
        Some(Severity::Warn)
    );
    assert_eq!(
        attributes(r#"{"stack":"web","error":"no"}"#),
        json!({"stack": "web", "error": "no"})
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        line in prop::collection::vec(prop::sample::select(vec!["{", "}", "\"", ":", ",", "a",
            "level",
            "=", " ", "50", "msg", "stack", "exception", "\\", "\u{e9}", "[", "]"]), 0..20),
    ) {
        let _ = read(&line.concat());
    }

    #[test]
    fn every_value_of_an_object_is_somewhere(
        members in prop::collection::vec(
            (prop::sample::select(vec!["level", "msg", "message", "stream", "gap", "app.gap", "a",
                "trace_id", "exception", "error", "log"]),
             prop::sample::select(vec![json!("warn"), json!(50), json!({"x": 1}), json!("t")])),
            1..8,
        ),
    ) {
        let members: Map<String, Value> =
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let count = members.len();
        let fields = fields(&Value::Object(members).to_string());
        let kept = fields.attributes.contains_key("level");
        let level = usize::from(fields.severity.is_some() && !kept);
        let body = usize::from(fields.body.is_some());
        prop_assert_eq!(fields.attributes.len() + body + level, count);
    }
}
