//! The body of FCM's answers: `google.rpc.Status` with its details (Firebase, "ErrorCode"; AIP-193).

use serde::Deserialize;

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

/// What an answer's body says, flattened.
#[derive(Debug, Default)]
pub(super) struct ErrorBody {
    /// The message's name, in an answer of success.
    pub(super) name: Option<String>,
    /// FCM's own code, e.g. `UNREGISTERED`.
    pub(super) code: Option<String>,
    /// The code of `google.rpc.Code`, e.g. `NOT_FOUND`.
    status: Option<String>,
    message: Option<String>,
    violates_token: bool,
    /// Whether a spent quota is the device's or topic's, and not the project's.
    pub(super) spent_by_device: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    name: Option<String>,
    error: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: Option<String>,
    status: Option<String>,
    details: Vec<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "errorCode")]
    error_code: Option<String>,
    #[serde(rename = "fieldViolations")]
    field_violations: Vec<Violation>,
    violations: Vec<Violation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Violation {
    field: String,
    subject: String,
    description: String,
}

impl ErrorBody {
    /// Reads a body; one that is no such JSON (a proxy's page) says nothing.
    pub(super) fn read(body: &[u8]) -> Self {
        let wire: Wire = serde_json::from_slice(body).unwrap_or_default();
        let details = wire.error.details;
        let fields = || details.iter().flat_map(|detail| &detail.field_violations);
        let quotas = || details.iter().flat_map(|detail| &detail.violations);
        Self {
            name: wire.name,
            violates_token: fields().any(|violation| violation.field == "message.token"),
            spent_by_device: quotas().any(Violation::is_narrow),
            code: details
                .iter()
                .find(|detail| detail.kind == FCM_ERROR)
                .and_then(|detail| detail.error_code.clone()),
            status: wire.error.status,
            message: wire.error.message,
        }
    }

    /// Whether a 400 is about the registration token rather than about our message: only by the violated field or by
    /// this text, since the code alone does not condemn a token (Firebase, "Manage registration tokens").
    pub(super) fn blames_token(&self) -> bool {
        let text = self.message.as_deref().unwrap_or_default();
        self.violates_token
            || text.contains("The registration token is not a valid FCM registration token")
    }

    /// The service's own words: `UNREGISTERED: Requested entity was not found.`
    pub(super) fn words(&self) -> Option<String> {
        let code = self.code.as_ref().or(self.status.as_ref());
        match (code, &self.message) {
            (Some(code), Some(message)) => Some(format!("{code}: {message}")),
            (code, message) => code.or(message.as_ref()).cloned(),
        }
    }
}

impl Violation {
    fn is_narrow(&self) -> bool {
        let says = |word| {
            let has = |text: &str| text.to_ascii_lowercase().contains(word);
            has(&self.subject) || has(&self.description)
        };
        says("device") || says("topic") || says("token")
    }
}
