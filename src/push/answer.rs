//! What the four services' answers have in common.

use std::time::Duration;

use crate::{
    egress::{Answer, Failure},
    model::{ServiceAnswer, Timestamp},
    push::outcome::{Again, Outcome, Scope, Verdict},
};

/// The longest wait that a service may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The longest reason kept, in bytes.
const MAX_REASON_BYTES: usize = 200;

/// What an answer asks an adapter to do: it is settled, or the same push goes out once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is settled.
    Done(Verdict),
    /// Send again at once, once.
    Again(Again),
}

/// One attempt, as read by the service's table; or, without an answer, what came of the push.
pub(super) type Attempt = Result<(Step, ServiceAnswer), Outcome>;

/// The outcome of a push that went out once or twice: `second` sends it again. What then remains is the operator's
/// affair, but for the topic.
pub(super) async fn twice(first: Attempt, second: impl AsyncFnOnce(Again) -> Attempt) -> Outcome {
    let again = match first {
        Ok((Step::Done(verdict), answer)) => return Outcome::new(verdict, answer),
        Ok((Step::Again(again), _)) => again,
        Err(outcome) => return outcome,
    };
    let outcome = match Box::pin(second(again)).await {
        Ok((Step::Done(verdict), answer)) => Outcome::new(verdict, answer),
        Ok((Step::Again(Again::WithoutTopic), answer)) => Outcome::new(Verdict::Rejected, answer),
        Ok((Step::Again(_), answer)) => Outcome::new(Verdict::Misconfigured, answer),
        Err(outcome) => outcome,
    };
    Outcome {
        again: Some(again),
        ..outcome
    }
}

/// A demand to wait at least `after`.
pub(super) fn retry(after: Option<Duration>, scope: Scope) -> Step {
    Step::Done(Verdict::Retry { after, scope })
}

/// Reads the `Retry-After` of an answer received at `now`.
///
/// Gives how long to wait, at most 24 h. Both forms are read: whole seconds, or an HTTP date (RFC 9110, section
/// 10.2.3). A date in the past gives nothing to wait for; no header, or one in neither form, gives `None`, and the
/// caller uses its own backoff.
pub(super) fn retry_after(answer: &Answer, now: Timestamp) -> Option<Duration> {
    let text = answer.header("retry-after")?.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = match text.parse() {
        Ok(secs) => Duration::from_secs(secs),
        // More than a number can hold is as much as there may be.
        Err(_) if digits => MAX_RETRY_AFTER,
        Err(_) => {
            let millis = u64::try_from(date(text)?.as_millisecond()).ok()?;
            Timestamp::from_millis(millis).since(now)
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Reads an HTTP date in any of its three forms; the two older ones are to be read, too (RFC 9110, section 5.6.7).
fn date(text: &str) -> Option<jiff::Timestamp> {
    if let Ok(date) = jiff::fmt::rfc2822::parse(text) {
        return Some(date.timestamp());
    }
    let older = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let mut read = older
        .iter()
        .filter_map(|form| jiff::civil::DateTime::strptime(form, text).ok());
    jiff::tz::Offset::UTC.to_timestamp(read.next()?).ok()
}

/// The words for a push that the service took and dropped, and what it says beside.
pub(super) fn dropped(beside: Option<&str>) -> Option<String> {
    match beside {
        Some(beside) => words(&format!("{}: {beside}", ServiceAnswer::DROPPED)),
        None => Some(String::from(ServiceAnswer::DROPPED)),
    }
}

/// A service's words as they may be kept and shown: one line, no control characters, at most 200 bytes. Nothing of
/// nothing.
pub(super) fn words(text: &str) -> Option<String> {
    let mut kept = String::new();
    // A library's link to its manual is no word of a service.
    let text = text.split(": https://").next().unwrap_or(text);
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() && !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(word);
        if kept.len() > MAX_REASON_BYTES {
            break;
        }
    }
    kept.truncate(kept.floor_char_boundary(MAX_REASON_BYTES));
    (!kept.is_empty()).then_some(kept)
}

/// The outcome of a push that got no answer. What cannot be mended by waiting is refused, or waits for other settings;
/// `scope` says whom the failure concerns: a host of the operator's everyone; of one that came from outside that is not said.
pub(super) fn unanswered(failure: &Failure, scope: Scope) -> Outcome {
    let retry = |scope| Verdict::Retry { after: None, scope };
    let verdict = match failure {
        Failure::Invalid(_) => Verdict::Rejected,
        // The settings admitted the channel when it was registered: they are others since.
        Failure::Forbidden(_) | Failure::Credential(_) => Verdict::Misconfigured,
        // One push that took too long says nothing about the others.
        Failure::Timeout | Failure::Late => retry(Scope::Unsaid),
        // That others are slow to be answered says nothing of the service that they did not say.
        Failure::Crowded => retry(Scope::Channel),
        Failure::Held => Verdict::Held,
        _ => retry(scope),
    };
    unsent(verdict, &failure.to_string())
}

/// An outcome of our own, without an answer of the service.
pub(super) fn unsent(verdict: Verdict, reason: &str) -> Outcome {
    let answer = ServiceAnswer {
        status: 0,
        reason: words(reason),
        id: None,
    };
    Outcome::new(verdict, answer)
}

/// Says in one line what an outcome means for the operator who asked to check the service: `remedy` is for what it
/// answered. Where nothing answered, that is about the `place` that was asked, which `setting` names.
pub(super) fn complaint(outcome: &Outcome, (place, setting): (&str, &str), remedy: &str) -> String {
    let reason = outcome
        .answer
        .reason
        .as_deref()
        .unwrap_or("no reason given");
    match outcome.answer.status {
        0 if reason.contains("Connection refused") => {
            format!("{reason}; nobody listens at {place}: see what should run there, and {setting}")
        }
        0 if ["connection: ", "timeout", ServiceAnswer::LOST]
            .iter()
            .any(|it| reason.contains(it)) =>
        {
            format!("{reason}; see that this machine may connect to {place}")
        }
        0 => format!("{reason}; {remedy}"),
        status => format!("answered {status}, {reason}; {remedy}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;
    use hyper::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    /// An answer as if it had come.
    pub(in crate::push) fn answer(
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Answer {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        Answer {
            status,
            phrase: None,
            headers,
            body: Bytes::from(body.to_owned()),
            whole: true,
            connection: 0,
            credential: 0,
        }
    }

    #[test]
    fn retry_after_in_both_forms() {
        // 1994-11-06T08:49:37Z, the example of RFC 9110, section 5.6.7.
        let now = Timestamp::from_millis(784_111_777_000);
        let check = |text: &str, expected: Option<u64>| {
            let answer = answer(503, &[("retry-after", text)], "");
            let found = retry_after(&answer, now).map(|wait| wait.as_secs());
            assert_eq!(found, expected, "{text}");
        };
        check("0", Some(0));
        check("120", Some(120));
        check(" 120 ", Some(120));
        check("99999999", Some(86_400));
        check("99999999999999999999999", Some(86_400));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some(60));
        check("Sun, 06 Nov 1994 08:49:00 GMT", Some(0));
        check("Mon, 06 Nov 1995 08:49:37 GMT", Some(86_400));
        check("Sunday, 06-Nov-94 08:50:37 GMT", Some(60));
        check("Sun Nov  6 08:50:37 1994", Some(60));
        check("-5", None);
        check("soon", None);
        check("", None);
        assert_eq!(retry_after(&answer(503, &[], ""), now), None);
    }

    #[test]
    fn words_are_one_short_line() {
        assert_eq!(words(""), None);
        assert_eq!(words(" \n\t"), None);
        assert_eq!(words("a\r\nb\u{1b}[0m  c"), Some("a b [0m c".into()));
        let long = words(&"ü".repeat(150)).unwrap();
        assert_eq!(long.len(), 200);
        let odd = words(&format!("a{}", "ü".repeat(150))).unwrap();
        assert_eq!(odd.len(), 199);
    }

    #[test]
    fn the_advice_fits_whether_anyone_answered() {
        let check = |status: u16, reason: &str, expected: &str| {
            let mut outcome = unsent(Verdict::Misconfigured, reason);
            outcome.answer.status = status;
            let place = ("the token endpoint", "token_endpoint");
            let told = complaint(&outcome, place, "compare the secret");
            assert!(told.ends_with(expected), "{told}");
        };
        check(401, "no", "answered 401, no; compare the secret");
        check(0, "the key is bad", "the key is bad; compare the secret");
        check(
            0,
            "token endpoint: connection: Connection refused (os error 111)",
            "; nobody listens at the token endpoint: see what should run there, and token_endpoint",
        );
        let unreached = "; see that this machine may connect to the token endpoint";
        check(0, "token endpoint: timeout", unreached);
        check(0, "connection: look-up failed: no", unreached);
    }

    #[test]
    fn no_answer_is_a_reason_to_wait() {
        let check = |failure: Failure, expected: Verdict, reason: &str| {
            let outcome = unanswered(&failure, Scope::Lane);
            assert_eq!(outcome.verdict, expected, "{failure:?}");
            assert_eq!(outcome.answer.status, 0);
            let said = outcome.answer.reason.unwrap();
            assert!(said.starts_with(reason), "{said}");
        };
        let wait = |scope| Verdict::Retry { after: None, scope };
        check(Failure::Timeout, wait(Scope::Unsaid), "timeout");
        check(
            Failure::Crowded,
            wait(Scope::Channel),
            "not sent: it waited too long for others to be answered",
        );
        check(
            Failure::Lost("gone".into()),
            wait(Scope::Lane),
            "answer lost: gone",
        );
        check(
            Failure::Connection("no".into()),
            wait(Scope::Lane),
            "connection: no",
        );
        check(Failure::Address, wait(Scope::Lane), "not sent: the host");
        check(
            Failure::Forbidden("is bad".into()),
            Verdict::Misconfigured,
            "not sent: the URL is bad",
        );
        check(
            Failure::Credential("the key is bad".into()),
            Verdict::Misconfigured,
            "the key is bad",
        );
        check(
            Failure::Invalid("x".into()),
            Verdict::Rejected,
            "not sent: the request x",
        );
    }
}
