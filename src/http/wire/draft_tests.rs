//! Posts, good and bad, field by field.

use super::*;

const NOW: &str = "2026-11-24T12:00:00Z";

fn read(body: &str) -> Result<Draft, hub::Error> {
    let app = AppHost::parse("a.example").unwrap();
    let rules = DraftRules {
        app: &app,
        limits: &Limits::default(),
        min_delay: Duration::from_secs(60),
        now: NOW.parse().unwrap(),
    };
    let Value::Object(body) = serde_json::from_str(body).unwrap() else {
        panic!("{body} is no object");
    };
    draft(&body, &rules)
}

fn check(body: &str, expected: &[&str]) {
    let found = match read(body) {
        Ok(_) => Vec::new(),
        Err(hub::Error::Invalid(faults)) => faults
            .into_iter()
            .map(|fault| fault.target.into_owned())
            .collect(),
        Err(other) => panic!("{body}: {other}"),
    };
    assert_eq!(found, expected, "{body}");
}

/// A good post with more members.
fn with(more: &str) -> String {
    format!(r#"{{"payload":{{"rawContent":"r"}},{more}}}"#)
}

#[test]
fn platforms_in_another_order_or_twice_are_the_same() {
    let post = |target: &str, fallback: &str| {
        let more = format!(
            r#""priority":"High","targetPolicy":{{"platformTypes":{target}}},"fallbackPolicy":{{"endpointFallback":
            {{"platformTypes":{fallback},"fallbackDelayInSeconds":60,"visualContent":{{"title":"t"}}}}}}"#
        );
        read(&with(&more)).unwrap()
    };
    let one = post(r#"["iOS","android"]"#, r#"["android","iOS"]"#);
    let other = post(
        r#"["android","ios","Android"]"#,
        r#"["iOS","android","iOS"]"#,
    );
    assert_eq!(one, other);
}

#[test]
fn contents() {
    check(r#"{"payload":{"rawContent":"r"}}"#, &[]);
    check(r#"{"payload":{"visualContent":{"title":"t"}}}"#, &[]);
    check(
        r#"{"payload":{"visualContent":{"title":"t","body":""}},"new":1}"#,
        &[],
    );
    check("{}", &["payload"]);
    check(r#"{"payload":null}"#, &["payload"]);
    check(r#"{"payload":[]}"#, &["payload"]);
    check(r#"{"payload":{}}"#, &["payload"]);
    check(r#"{"payload":{"rawContent":""}}"#, &["payload.rawContent"]);
    check(r#"{"payload":{"rawContent":{}}}"#, &["payload.rawContent"]);
    check(
        r#"{"payload":{"visualContent":{}}}"#,
        &["payload.visualContent.title"],
    );
    check(
        r#"{"payload":{"visualContent":{"title":"","body":1}}}"#,
        &["payload.visualContent.title", "payload.visualContent.body"],
    );
    let long =
        |name: &str, len: usize| format!(r#"{{"payload":{{"{name}":"{}"}}}}"#, "é".repeat(len / 2));
    check(&long("rawContent", 32 << 10), &[]);
    check(&long("rawContent", (32 << 10) + 2), &["payload.rawContent"]);
}

#[test]
fn members() {
    for good in [
        r#""displayTimeToLive":60"#,
        r#""displayTimeToLive":"60""#,
        r#""displayTimeToLive":60.0"#,
        r#""priority":"hIGH""#,
        r#""targetPolicy":{"platformTypes":["windows","ios","WEBPUSH"]}"#,
        r#""targetPolicy":{}"#,
        r#""expirationDateTime":"2026-12-24T12:00:00Z""#,
        r#""groupName":null"#,
        r#""targetHostName":"A.Example""#,
    ] {
        check(&with(good), &[]);
    }
    for (bad, target) in [
        (r#""displayTimeToLive":0"#, "displayTimeToLive"),
        (r#""displayTimeToLive":2147483648"#, "displayTimeToLive"),
        (r#""displayTimeToLive":1.5"#, "displayTimeToLive"),
        (r#""displayTimeToLive":"soon""#, "displayTimeToLive"),
        (r#""displayTimeToLive":true"#, "displayTimeToLive"),
        (r#""priority":"urgent""#, "priority"),
        (r#""priority":1"#, "priority"),
        (
            r#""targetPolicy":{"platformTypes":[]}"#,
            "targetPolicy.platformTypes",
        ),
        (
            r#""targetPolicy":{"platformTypes":["phone"]}"#,
            "targetPolicy.platformTypes[0]",
        ),
        (
            r#""targetPolicy":{"platformTypes":[1]}"#,
            "targetPolicy.platformTypes[0]",
        ),
        (r#""targetPolicy":[]"#, "targetPolicy"),
        (
            r#""expirationDateTime":"2026-11-24T12:00:00Z""#,
            "expirationDateTime",
        ),
        (
            r#""expirationDateTime":"2026-12-24T12:00:01Z""#,
            "expirationDateTime",
        ),
        (r#""expirationDateTime":"tomorrow""#, "expirationDateTime"),
        (r#""appNotificationId":"""#, "appNotificationId"),
        (r#""groupName":5"#, "groupName"),
        (r#""targetHostName":5"#, "targetHostName"),
    ] {
        check(&with(bad), &[target]);
    }
}

#[test]
fn fallbacks() {
    let policy = |inner: &str| {
        with(&format!(
            r#""priority":"High","fallbackPolicy":{{"endpointFallback":{{{inner}}}}}"#
        ))
    };
    let visual = r#""visualContent":{"title":"t"}"#;
    let at = |name: &str| format!("fallbackPolicy.endpointFallback.{name}");
    check(
        &policy(&format!(
            r#""platformTypes":["iOS"],"fallbackDelayInSeconds":60,{visual}"#
        )),
        &[],
    );
    check(
        &policy(&format!(
            r#""platformTypes":["iOS"],"fallbackDelayInSeconds":600,{visual}"#
        )),
        &[],
    );
    for delay in ["59", "601", "60.5", "\"60\"", "-1"] {
        let inner = format!(r#""platformTypes":["iOS"],"fallbackDelayInSeconds":{delay},{visual}"#);
        check(&policy(&inner), &[&at("fallbackDelayInSeconds")]);
    }
    check(
        &policy(""),
        &[
            &at("visualContent"),
            &at("platformTypes"),
            &at("fallbackDelayInSeconds"),
        ],
    );
    check(
        &with(r#""fallbackPolicy":{}"#),
        &["fallbackPolicy.endpointFallback"],
    );
    let whole = format!(
        r#""fallbackPolicy":{{"endpointFallback":{{"platformTypes":["iOS"],"fallbackDelayInSeconds":60,{visual}}}}}"#
    );
    check(&with(&whole), &["fallbackPolicy"]);
    check(
        &format!(r#"{{"payload":{{{visual}}},"priority":"High",{whole}}}"#),
        &["fallbackPolicy"],
    );
    check(
        &with(&format!(
            r#""priority":"High","targetPolicy":{{"platformTypes":["android"]}},{whole}"#
        )),
        &[&at("platformTypes")],
    );
}

#[test]
fn all_faults_are_named_at_once() {
    check(
        r#"{"priority":7,"displayTimeToLive":0,"groupName":[],"payload":{"rawContent":1}}"#,
        &[
            "payload.rawContent",
            "groupName",
            "displayTimeToLive",
            "priority",
        ],
    );
}

#[test]
fn another_app_is_forbidden() {
    let other = read(&with(r#""targetHostName":"b.example""#));
    assert!(matches!(other, Err(hub::Error::Forbidden(_))), "{other:?}");
}
