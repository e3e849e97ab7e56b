//! What only one service says: each answer of a service that a sender must tell from others, in that service's words.
//!
//! They are data, a file a service, each with the ground that it stands on. The page of `behaviour` shows them; the script of
//! faults knows them by name.

mod apns;
mod fcm;
mod web_push;
mod wns;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::device::Service;
use super::exchange::Answer;
use super::fault::At;

/// The ground that a behaviour stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The vendor or a standard says so.
    Documented,
    /// Seen in a recorded answer or in the code of a widely used sender or service.
    Observed,
    /// Neither; the likeliest form.
    Assumed,
}

impl Basis {
    /// The word on the page.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Observed => "observed",
            Self::Assumed => "assumed",
        }
    }
}

/// One answer of one service.
#[derive(Debug, PartialEq, Eq)]
pub struct Saying {
    name: &'static str,
    at: At,
    status: u16,
    words: Words,
    headers: &'static [(&'static str, &'static str)],
    retry_after_seconds: Option<u64>,
    bare: bool,
    basis: Basis,
    source: &'static str,
}

/// The form of a body.
#[derive(Debug, PartialEq, Eq)]
enum Words {
    /// None.
    Empty,
    /// `{"reason"}`, which Apple's two services say.
    Reason(&'static str),
    /// autopush's `{code, errno, error, message}`.
    Autopush(u16, &'static str),
    /// Google's `{error:{code,message,status,details}}`: status, message, FCM's `errorCode`, further details.
    Google(
        &'static str,
        &'static str,
        Option<&'static str>,
        Option<Detail>,
    ),
    /// A page.
    Html(&'static str),
    /// Plain text.
    Text(&'static str),
    /// RFC 6749, section 5.2.
    OAuth(&'static str, &'static str),
    /// The same with Entra's number, `AADSTS…`.
    Entra(&'static str, u32, &'static str),
}

/// A further detail of an error of Google's.
#[derive(Debug, PartialEq, Eq)]
enum Detail {
    /// `google.rpc.BadRequest` with one violation: field and description.
    BadField(&'static str, &'static str),
    /// `google.rpc.QuotaFailure` with one violation: subject and description.
    Quota(&'static str, &'static str),
}

impl Saying {
    /// What a service says, in the order of the page.
    #[must_use]
    pub(crate) fn all(service: Service) -> &'static [Self] {
        match service {
            Service::Apns => apns::SAYINGS,
            Service::Fcm => fcm::SAYINGS,
            Service::WebPush => web_push::SAYINGS,
            Service::Wns => wns::SAYINGS,
        }
    }

    /// Its name in the script.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Which door says it.
    #[must_use]
    pub fn at(&self) -> At {
        self.at
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether it comes without the headers that the service else puts on every answer: from something in front of the service.
    pub(crate) fn is_bare(&self) -> bool {
        self.bare
    }

    /// The `Retry-After` that goes with it, in seconds.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_seconds
    }

    /// The ground that it stands on, and its source.
    pub(crate) fn basis(&self) -> (Basis, &'static str) {
        (self.basis, self.source)
    }

    /// The answer, without `Retry-After` and without what the service puts on every answer. `died_at_ms` goes into a 410 of APNs.
    pub(crate) fn answer(&self, died_at_ms: Option<i64>) -> Answer {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let typed = |media_type: &str, text: &'static str| {
            let body = hyper::body::Bytes::from_static(text.as_bytes());
            Answer {
                body,
                ..Answer::empty(status)
            }
            .with("content-type", media_type)
        };
        let answer = match &self.words {
            Words::Empty => Answer::empty(status),
            Words::Html(page) => typed("text/html; charset=UTF-8", page),
            Words::Text(text) => typed("text/plain; charset=utf-8", text),
            Words::Reason(reason) => {
                let mut body = json!({ "reason": reason });
                if let Some(at) = died_at_ms.filter(|_| self.status == 410) {
                    body["timestamp"] = at.into();
                }
                Answer::json(status, &body)
            }
            Words::Autopush(errno, message) => {
                let error = status.canonical_reason().unwrap_or_default();
                Answer::json(
                    status,
                    &json!({ "code": self.status, "errno": errno, "error": error, "message": message }),
                )
            }
            Words::Google(name, message, code, detail) => Answer::json(
                status,
                &google(self.status, (name, message), *code, detail.as_ref()),
            ),
            Words::OAuth(error, description) => Answer::json(
                status,
                &json!({ "error": error, "error_description": description }),
            ),
            Words::Entra(error, number, description) => Answer::json(
                status,
                &json!({ "error": error, "error_description": format!("AADSTS{number}: {description}"), "error_codes": [number] }),
            ),
        };
        let headers = self.headers.iter();
        headers.fold(answer, |answer, (name, value)| answer.with(name, value))
    }

    /// What the page shows of the answer.
    pub(crate) fn shown(&self) -> String {
        let body = self.answer(Some(0)).body;
        let text = String::from_utf8_lossy(&body).replace('|', "\\|");
        let mut parts = vec![self.status.to_string()];
        if !text.is_empty() {
            parts.push(format!("`{text}`"));
        }
        let headers = self.headers.iter();
        parts.extend(headers.map(|(name, value)| format!("`{name}: {value}`")));
        if let Some(seconds) = self.retry_after_seconds {
            parts.push(format!("`retry-after: {seconds}`"));
        }
        parts.join(", ")
    }

    const fn of(
        name: &'static str,
        status: u16,
        words: Words,
        (basis, source): (Basis, &'static str),
    ) -> Self {
        Self {
            name,
            at: At::Push,
            status,
            words,
            headers: &[],
            retry_after_seconds: None,
            bare: false,
            basis,
            source,
        }
    }

    const fn at_token(self) -> Self {
        Self {
            at: At::Token,
            ..self
        }
    }

    const fn after(self, seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(seconds),
            ..self
        }
    }

    const fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    const fn bare(self) -> Self {
        Self { bare: true, ..self }
    }
}

fn google(
    code: u16,
    (status, message): (&str, &str),
    fcm_code: Option<&str>,
    detail: Option<&Detail>,
) -> Value {
    let detail = detail.map(|detail| match detail {
        Detail::BadField(field, description) => json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": field, "description": description }],
        }),
        Detail::Quota(subject, description) => json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{ "subject": subject, "description": description }],
        }),
    });
    let fcm = fcm_code.map(|code| {
        json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code })
    });
    let details: Vec<Value> = detail.into_iter().chain(fcm).collect();
    let mut body = json!({ "error": { "code": code, "message": message, "status": status } });
    if !details.is_empty() {
        body["error"]["details"] = details.into();
    }
    body
}
