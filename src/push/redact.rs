//! What a service says of a push may quote where it was sent: many servers answer "Cannot POST /path"; and a hostile one
//! may quote what it will. A channel is a secret, and so is the credential that came with the push: both are taken out
//! before anyone keeps or shows the words.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::model::Channel;

/// Shorter parts of an address are words, not secrets.
const MIN_SECRET_BYTES: usize = 8;
const TAKEN_OUT: &str = "…";

/// No word of any language or service is so long and as mixed; a credential is.
const LONG_WORD_BYTES: usize = 40;

/// A sentence without the channel and the parts of it, and without what may be a credential.
pub(super) fn words(text: &str, channel: &Channel) -> String {
    let secrets = secrets(channel).into_iter();
    // Whole addresses hold common words.
    let secrets = secrets.filter(|secret| !secret.contains('/'));
    let secrets: Vec<String> = secrets.map(|it| it.to_ascii_lowercase()).collect();
    let is_secret = |word: &str| {
        let lower = word.to_ascii_lowercase();
        let cut = lower.len() >= MIN_SECRET_BYTES && secrets.iter().any(|it| it.contains(&lower));
        cut || may_be_a_credential(word)
    };
    let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '=' | '.');
    let text = replaced(&without(text, channel), in_word, is_secret);
    // As standard base64 writes it, with `/`; names of types have dots.
    let in_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    replaced(&text, in_base64, may_be_a_credential)
}

/// An id of a push without the channel and the parts of it, and without a token (RFC 7519) that came with the push.
pub(super) fn id(text: &str, channel: &Channel) -> String {
    let in_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_token = |word: &str| word.matches('.').count() >= 2 && may_be_a_credential(word);
    replaced(&without(text, channel), in_token, is_token)
}

/// The text with those words taken out that are secrets.
fn replaced(
    text: &str,
    in_word: impl Fn(char) -> bool,
    is_secret: impl Fn(&str) -> bool,
) -> String {
    let mut left = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        left.push_str(if is_secret(word) { TAKEN_OUT } else { word });
        let next = behind.find(&in_word).unwrap_or(behind.len());
        left.push_str(&behind[..next]);
        rest = &behind[next..];
    }
    left
}

fn may_be_a_credential(word: &str) -> bool {
    let has = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
    word.len() >= LONG_WORD_BYTES
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
}

/// The text without the channel and the parts of it.
pub(super) fn without(text: &str, channel: &Channel) -> String {
    let mut secrets = secrets(channel);
    // The longest first, so that a part does not break up the whole.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut text = text.to_owned();
    for secret in secrets {
        text = take_out(&text, &secret);
    }
    text
}

/// Takes out every occurrence, in any case; ASCII alone changes case, so places stay.
fn take_out(text: &str, secret: &str) -> String {
    let (lower, secret) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let mut left = String::new();
    let mut from = 0;
    for (at, found) in lower.match_indices(&secret) {
        left.push_str(&text[from..at]);
        left.push_str(TAKEN_OUT);
        from = at + found.len();
    }
    left.push_str(&text[from..]);
    left
}

fn secrets(channel: &Channel) -> Vec<String> {
    match channel {
        Channel::Apns { device_token, .. } => vec![device_token.as_hex().to_owned()],
        Channel::Fcm { registration_token } => {
            let token = registration_token.expose();
            let parts = token.split(':').map(str::to_owned);
            long(parts.chain([token.clone()]))
        }
        Channel::WebPush { endpoint, .. } => parts_of(endpoint.expose()),
        Channel::Wns { channel_uri } => parts_of(channel_uri.expose()),
        Channel::None => Vec::new(),
    }
}

/// An address, its path, and what stands in both, as it was sent and decoded.
fn parts_of(address: &str) -> Vec<String> {
    let Ok(url) = Url::parse(address) else {
        return vec![address.to_owned()];
    };
    let path = url.path();
    let segments = path.split('/');
    let values = url.query().unwrap_or_default().split(['&', '=']);
    let parts: Vec<&str> = segments.chain(values).chain([path, address]).collect();
    let decoded = parts
        .iter()
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
    long(parts.iter().map(|part| (*part).to_owned()).chain(decoded))
}

fn long(parts: impl Iterator<Item = String>) -> Vec<String> {
    parts
        .filter(|part| part.len() >= MIN_SECRET_BYTES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceToken, Secret};

    fn wns(uri: &str) -> Channel {
        Channel::Wns {
            channel_uri: Secret::new(uri.into()),
        }
    }

    #[test]
    fn parts_of_a_secret_and_credentials_are_no_words() {
        let channel =
            wns("https://x.notify.windows.com/w/?token=S3cr3tCapabilityTokenABCDEF0123456789");
        let check = |said: &str, kept: &str| assert_eq!(words(said, &channel), kept, "{said}");
        check("no S3cr3tCapabilityToken here", "no … here");
        check("cut: okenABCDEF0123", "cut: …");
        check(
            "The channel windows notified is unknown",
            "The channel windows notified is unknown",
        );
        let credential = format!(
            "bad eyJ0eXAiOiJKV1QifQ.{}.{}, sorry",
            "e".repeat(60),
            "s".repeat(86)
        );
        check(&credential, "bad …, sorry");
        check(
            "Cannot POST /w/?token=S3cr3tCapabilityTokenABCDEF0123456789",
            "Cannot POST /w/?token=…",
        );
        check(
            "EgAcAQMAAAAALYAAY/c+Huwi3Fv4Ck10UrKNmtxRO6Njk2MgA= is over",
            "… is over",
        );
        check(
            "type.googleapis.com/google.firebase.fcm.v1.FcmError",
            "type.googleapis.com/google.firebase.fcm.v1.FcmError",
        );
        let location = |rest: &str| id(&format!("https://push.example/m/{rest}"), &channel);
        assert_eq!(
            location("gAAAAABk2Q5b7cQ3eF9aaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            "https://push.example/m/gAAAAABk2Q5b7cQ3eF9aaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        );
        let token = format!("eyJ0eXAiOiJKV1QifQ.{}.S0s", "e".repeat(60));
        assert_eq!(location(&token), "https://push.example/m/…");
        check(
            "d1f7a0a2-0e0c-4d3e-9f70-2b0d5c3c1f3a",
            "d1f7a0a2-0e0c-4d3e-9f70-2b0d5c3c1f3a",
        );
    }

    #[test]
    fn no_part_of_a_channel_is_left() {
        let uri = "https://host.example/w/gone/Chan-Secret?token=To%2FkenSecret&v=1";
        for said in [
            "Cannot POST /w/gone/Chan-Secret",
            "no channel chan-secret here",
            "no https://host.example/w/gone/Chan-Secret?token=To%2FkenSecret&v=1",
            "token To/kenSecret is over, To%2FkenSecret",
        ] {
            let left = without(said, &wns(uri)).to_lowercase();
            for secret in ["chan-secret", "kensecret"] {
                assert!(!left.contains(secret), "{left}");
            }
        }
        let apns = Channel::Apns {
            device_token: DeviceToken::parse("00aaFF00aaFF").unwrap(),
            topic: None,
            environment: None,
        };
        let left = without("no /3/device/00AAff00aaff", &apns);
        assert_eq!(left, "no /3/device/…");
        let fcm = Channel::Fcm {
            registration_token: Secret::new("instance1:secret-secret".into()),
        };
        assert_eq!(without("instance1:secret-secret", &fcm), "…");
        assert_eq!(without("no secret-secret: ü", &fcm), "no …: ü");
    }

    #[test]
    fn a_services_own_words_stay() {
        let uri = "https://host.example/w/?token=abcdefghijkl";
        for said in ["BadDeviceToken", "410: no such subscription", ""] {
            assert_eq!(without(said, &wns(uri)), said);
        }
    }
}
