use serde_json::{Value, json};

use super::*;
use crate::log::{LogRecord, Resource};

fn record(attributes: Value) -> LogRecord {
    let Value::Object(attributes) = attributes else { panic!("attributes are an object") };
    LogRecord {
        v: 1,
        seq: 12,
        ts: String::new(),
        severity: Severity::Warn,
        body: "slow (query)".to_owned(),
        attributes,
        trace_id: Some("ab".repeat(16)),
        span_id: None,
        at: None,
    }
}

fn resource() -> Resource {
    Resource {
        app: "shop+3".to_owned(),
        service: "web".to_owned(),
        instance: 2,
        version: Some(7),
        host: "h1".to_owned(),
        boot_id: String::new(),
        started: String::new(),
    }
}

fn matches(filter: &str, attributes: &Value) -> bool {
    let filter = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    filter.matches(&record(attributes.clone()), &resource())
}

#[test]
fn comparisons_mean_what_they_say() {
    let attributes = json!({
        "stream": "stdout", "status": 500, "ms": 1.5, "big": 9_007_199_254_740_993_u64, "id": "007",
        "path": "/a b", "ok": true, "tags": ["x", 3], "http": {"a.b": {"c": 1}}, "http.x": "flat",
        "level": "app's own", "when": "2026-01-02", "nothing": null,
    });
    let yes = [
        "level>=warn",
        "level=WARNING",
        "severity < error",
        "level!=info",
        "level>=trace",
        "body~query",
        "body=\"slow (query)\"",
        "body~\"(q\"",
        "seq=12",
        "seq<=12",
        "instance=2",
        "version>6",
        "app=shop+3",
        "service!=db",
        "host=h1",
        "stream=stdout",
        "trace_id~abab",
        "status=500",
        "status>=499.5",
        "status<1e3",
        "status!=404",
        "status~50",
        "ms>1",
        "ms<2",
        "big=9007199254740993",
        "big!=9007199254740992",
        "id=007",
        "id=7",
        "id<8",
        "path='/a b'",
        "path~\" \"",
        "ok=true",
        "tags=x",
        "tags=3",
        "tags>2",
        "tags!=y",
        "http.a.b.c=1",
        "http.x=flat",
        "attributes.level~own",
        "\"level\"~own",
        "when>=2026-01-01",
        "nothing=null",
        "absent!=1",
        "absent.deep!=x",
        "not absent=1",
        "span_id!=x",
        "status=500 and ms=1.5",
        "status=1 or ms=1.5",
        "not status=1 and not ms=1",
        "status=1 and ms=1 or ok=true",
        "status=500 AND (ms=1 OR ok=true)",
        "not (status=1)",
        "not(status=1 or ms=1)",
        "path~a and path~b",
        "absent!=1 and absent!=\"\"",
        // One of a list that has it: "not equal" says that none is.
        "not tags!=x",
    ];
    for filter in yes {
        assert!(matches(filter, &attributes), "{filter}");
    }
    let no = [
        "level>=error",
        "level<warn",
        "body=query",
        "seq>12",
        "version=8",
        "stream=stderr",
        "status<500",
        "status=5000",
        "status~600",
        "big=9007199254740992",
        "id=07.5",
        "id!=7",
        "path=/a",
        "ok=false",
        "ok>5",
        "tags=y",
        "tags!=x",
        "http.a.b=1",
        "http.a.b.d=1",
        "absent=1",
        "absent<1",
        "absent>=0",
        "absent~\"\"",
        "span_id~\"\"",
        "span_id=\"\"",
        "path>5",
        "status>=abc",
        "when<2027",
        "level!=warn",
        "nothing=1",
        "attributes.absent=1",
        "status=500 and ms=1",
        "not status=500 or ms=1",
    ];
    for filter in no {
        assert!(!matches(filter, &attributes), "{filter}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases = [
        ("", "expected a comparison, found nothing at character 1", "write a field, a"),
        ("errors", "the comparison is missing at character 7", "write a field, a"),
        ("a b", "expected a comparison, found \"b\" at character 3", "write a field, a"),
        ("level>=", "the value is missing at character 8", "write a field, a"),
        ("level>=loud", "\"loud\" is no level at character 8", "the levels are trace"),
        ("level>=wrn", "\"wrn\" is no level at character 8", "did you mean \"warn\"?"),
        ("level~warn", "a level contains nothing at character 1", "write level>=warn"),
        (
            "levl>=warn",
            "there is no field \"levl\" at character 1",
            "write level, or attributes.levl",
        ),
        ("a=1 and msg~x", "there is no field \"msg\" at character 9", "write body, or"),
        ("stream=stder", "\"stder\" is no stream at character 8", "did you mean \"stderr\"?"),
        ("instance=web", "expected a number, found \"web\" at character 10", ""),
        ("a==1", "\"==\" is no comparison at character 2", "write = for"),
        ("a=~1", "\"=~\" is no comparison at character 2", "write ~ for"),
        ("a<>1", "\"<>\" is no comparison at character 2", "write != for"),
        ("a=1 b=2", "expected and or or, found \"b=2\" at character 5", "join comparisons"),
        ("a=x y", "expected and or or, found \"y\" at character 5", "join comparisons"),
        ("(a=1", "this ( is not closed at character 1", "add )"),
        ("a=1)", "there is no ( for this ) at character 4", ""),
        ("a=\"x", "this \" is not closed at character 3", "add \""),
        ("a=1 and", "expected a comparison, found nothing at character 8", "write a field"),
        ("a=1 and ", "expected a comparison, found nothing at character 9", "write a field"),
        (">=warn", "expected a field's name, found \">\" at character 1", "write a field"),
        ("\u{e9}=\"\u{20ac}\" or b==1", "\"==\" is no comparison at character 11", "write = for"),
        ("a=1\n", "a filter is one line without control characters at character 4", ""),
    ];
    for (text, message, hint) in cases {
        let error = Filter::parse(text).expect_err(text);
        assert_eq!(error.to_string(), message, "{text}");
        assert!(error.hint.unwrap_or_default().starts_with(hint), "{text}");
    }
    assert!(Filter::parse(&"(".repeat(100_000)).is_err());
    assert!(Filter::parse(&"not ".repeat(100_000)).is_err());
    for name in ["cost=1", "post=1", "lost=1", "status=1", "user.hosts=1", "user_id=3", "i=1"] {
        assert!(Filter::parse(name).is_ok(), "{name}");
    }
}

#[test]
fn a_filter_is_written_as_its_text() {
    let filter = Filter::parse("level >= warn").expect("a filter");
    let text = serde_json::to_string(&filter).expect("a string");
    assert_eq!(text, "\"level >= warn\"");
    assert_eq!(serde_json::from_str::<Filter>(&text).expect("a filter"), filter);
    assert!(serde_json::from_str::<Filter>("\"level\"").is_err());
}
