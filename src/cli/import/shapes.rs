//! What a line of a file may look like: the hub's own shape, an installation of Azure Notification Hubs, or what
//! a sender by gorush has of each device.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::hub::admin::Device;

type Object = Map<String, Value>;

/// What some editors write at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The devices of a line; none of an empty one.
pub(super) fn devices(line: &[u8]) -> Result<Vec<Device>, String> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    if line.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    if line.len() > super::LINE_BYTES {
        return Err(String::from("is longer than 1 MiB"));
    }
    let object = match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(String::from("is no JSON object")),
        Err(error) => return Err(format!("is no JSON object: {error}")),
    };
    if object.contains_key("channel") {
        return own(object).map(|it| vec![it]);
    }
    if object.contains_key("pushChannel") {
        return azure(&object).map(|it| vec![it]);
    }
    if object.contains_key("token") || object.contains_key("tokens") {
        return gorush(&object);
    }
    Err(String::from(
        "has neither channel (Beckon), pushChannel (Azure Notification Hubs) nor token (gorush)",
    ))
}

/// `{"user", "endpoint", "channel", …}`, as a client would register.
fn own(mut object: Object) -> Result<Device, String> {
    let user = text(&object, "user")?.to_owned();
    let endpoint = match object.contains_key("endpoint") {
        true => text(&object, "endpoint")?.to_owned(),
        false => made_of(&object["channel"])
            .ok_or_else(|| String::from("endpoint is missing; without a channel it takes one"))?,
    };
    object.remove("user");
    object.remove("endpoint");
    Ok(Device {
        user,
        endpoint,
        registration: object,
    })
}

/// An installation (Microsoft, "Azure Notification Hubs REST API: Create or Overwrite Installation").
fn azure(object: &Object) -> Result<Device, String> {
    let user = text(object, "userId").map_err(|why| {
        format!("{why}; installations without a user have to be told whose they are")
    })?;
    let platform = text(object, "platform")?;
    let push_channel = &object["pushChannel"];
    let handle = || text(object, "pushChannel");
    let channel = match platform.to_ascii_lowercase().as_str() {
        "apns" => json!({ "type": "apns", "deviceToken": handle()? }),
        "gcm" | "fcmv1" => json!({ "type": "fcm", "registrationToken": handle()? }),
        "wns" => json!({ "type": "wns", "channelUri": handle()? }),
        "browser" => json!({
            "type": "webPush",
            "endpoint": push_channel["endpoint"],
            "keys": { "p256dh": push_channel["p256dh"], "auth": push_channel["auth"] },
        }),
        _ => return Err(format!("platform {platform} has no service here")),
    };
    if object.get("expiredPushChannel") == Some(&Value::Bool(true)) {
        return Err(String::from("pushChannel has expired"));
    }
    let endpoint = match object.contains_key("installationId") {
        true => text(object, "installationId")?.to_owned(),
        false => made_of(&channel).ok_or_else(|| String::from("installationId is missing"))?,
    };
    Ok(Device {
        user: user.to_owned(),
        endpoint,
        registration: Object::from_iter([(String::from("channel"), channel)]),
    })
}

/// `{"user", "platform", "token" | "tokens", "topic"?}`: gorush keeps no devices, so who sends by it has what its requests
/// name (gorush, "Request body").
fn gorush(object: &Object) -> Result<Vec<Device>, String> {
    let user = text(object, "user")?;
    let several = match object.get("tokens") {
        None => &[][..],
        Some(Value::Array(tokens)) => tokens,
        Some(_) => return Err(String::from("tokens is no list")),
    };
    let tokens: Vec<&Value> = object.get("token").into_iter().chain(several).collect();
    if tokens.is_empty() {
        return Err(String::from("tokens is empty"));
    }
    let platform = object.get("platform").unwrap_or(&Value::Null);
    let is_ios = match (platform.as_u64(), platform.as_str()) {
        (Some(1), _) => true,
        (Some(2), _) => false,
        (None, Some(name)) if name.eq_ignore_ascii_case("ios") => true,
        (None, Some(name)) if name.eq_ignore_ascii_case("android") => false,
        _ => {
            return Err(String::from(
                "platform is not 1 or \"ios\", 2 or \"android\"",
            ));
        }
    };
    let device = |token: &Value| {
        let mut channel = match is_ios {
            true => json!({ "type": "apns", "deviceToken": token }),
            false => json!({ "type": "fcm", "registrationToken": token }),
        };
        if let Some(topic) = object.get("topic").filter(|_| is_ios) {
            channel["topic"] = topic.clone();
        }
        Ok(Device {
            user: user.to_owned(),
            endpoint: made_of(&channel).ok_or_else(|| String::from("a token is no text"))?,
            registration: Object::from_iter([(String::from("channel"), channel)]),
        })
    };
    tokens.into_iter().map(device).collect()
}

fn text<'a>(object: &'a Object, name: &str) -> Result<&'a str, String> {
    match object.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("{name} is no text")),
        None => Err(format!("{name} is missing")),
    }
}

/// An id for a device that has none: the same each time that its channel comes, however that is written.
fn made_of(channel: &Value) -> Option<String> {
    let text = |name: &str| channel[name].as_str().filter(|text| !text.is_empty());
    let place = match channel["type"].as_str()?.to_ascii_lowercase().as_str() {
        "apns" => text("deviceToken")?.to_ascii_lowercase(),
        "fcm" => text("registrationToken")?.to_owned(),
        "wns" => text("channelUri")?.to_owned(),
        "webpush" => text("endpoint")?.to_owned(),
        _ => return None,
    };
    let hash = digest(&SHA256, place.as_bytes());
    let name = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}"));
    Some(format!("imported-{}", name.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &Value) -> Result<Vec<Value>, String> {
        let found = devices(line.to_string().as_bytes())?;
        Ok(found
            .iter()
            .map(|it| serde_json::to_value(it).unwrap())
            .collect())
    }

    #[test]
    fn each_shape_is_known_by_what_it_has() {
        let apns = json!({"type": "apns", "deviceToken": "00ff"});
        let fcm = json!({"type": "fcm", "registrationToken": "t"});
        let web = json!({"type": "webPush", "endpoint": "https://e.example/", "keys": {"p256dh": "p", "auth": "a"}});
        let check = |line: Value, endpoint: &str, registration: Value| {
            let found = read(&line).unwrap();
            let expected =
                json!({"user": "ada", "endpoint": endpoint, "registration": registration});
            assert_eq!(found, [expected], "{line}");
        };
        check(
            json!({"user": "ada", "endpoint": "phone", "channel": apns, "displayName": "Ada's"}),
            "phone",
            json!({"channel": apns, "displayName": "Ada's"}),
        );
        let installation = |platform: &str, push_channel: Value| json!({"installationId": "i-1", "userId": "ada", "platform": platform, "pushChannel": push_channel, "tags": ["x"]});
        check(
            installation("apns", "00ff".into()),
            "i-1",
            json!({"channel": apns}),
        );
        check(
            installation("fcmV1", "t".into()),
            "i-1",
            json!({"channel": fcm}),
        );
        check(
            installation(
                "browser",
                json!({"endpoint": "https://e.example/", "p256dh": "p", "auth": "a"}),
            ),
            "i-1",
            json!({"channel": web}),
        );
        let made = made_of(&fcm).unwrap();
        check(
            json!({"user": "ada", "platform": 2, "token": "t"}),
            &made,
            json!({"channel": fcm}),
        );
        check(
            json!({"user": "ada", "channel": fcm}),
            &made,
            json!({"channel": fcm}),
        );
        let several = read(
            &json!({"user": "ada", "platform": "ios", "tokens": ["00", "01"], "topic": "com.e"}),
        )
        .unwrap();
        assert_eq!(several.len(), 2);
        assert_ne!(several[0]["endpoint"], several[1]["endpoint"]);
        assert_eq!(several[0]["registration"]["channel"]["topic"], "com.e");
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |line: &str, why: &str| {
            let found = devices(line.as_bytes()).unwrap_err();
            assert!(found.contains(why), "{line}: {found}");
        };
        check("[]", "is no JSON object");
        check("{", "is no JSON object: EOF");
        check(r#"{"user":"ada"}"#, "has neither channel");
        check(r#"{"channel":{}}"#, "user is missing");
        check(r#"{"user":1,"channel":{}}"#, "user is no text");
        check(
            r#"{"pushChannel":"x","platform":"apns"}"#,
            "userId is missing",
        );
        check(
            r#"{"pushChannel":"x","platform":"adm","userId":"ada"}"#,
            "platform adm has no service",
        );
        check(
            r#"{"pushChannel":{},"platform":"wns","userId":"ada"}"#,
            "pushChannel is no text",
        );
        check(
            r#"{"pushChannel":"x","platform":"apns","userId":"ada","expiredPushChannel":true}"#,
            "has expired",
        );
        check(r#"{"user":"ada","token":"t"}"#, "platform is not 1");
        check(
            r#"{"user":"ada","tokens":"t","platform":1}"#,
            "tokens is no list",
        );
        check(
            r#"{"user":"ada","tokens":[],"platform":1}"#,
            "tokens is empty",
        );
        check(
            r#"{"user":"ada","channel":{"type":"none"}}"#,
            "endpoint is missing",
        );
        check(
            r#"{"user":"ada","platform":1,"tokens":[7]}"#,
            "a token is no text",
        );
        check(&" x".repeat(600_000), "is longer than 1 MiB");
        assert_eq!(devices(b" \r\n"), Ok(Vec::new()));
        assert_eq!(devices(b"\xef\xbb\xbf\r\n"), Ok(Vec::new()));
    }

    #[test]
    fn one_channel_makes_one_id_however_it_is_written() {
        let id = |token: &str, topic: Value| {
            made_of(&json!({"type": "apns", "deviceToken": token, "topic": topic}))
        };
        assert_eq!(id("00FF", Value::Null), id("00ff", "com.e".into()));
        assert_ne!(id("00FE", Value::Null), id("00ff", Value::Null));
    }
}
