//! The JSON of pushes. Members stand in the order of their names.

use serde::Serialize;

use crate::model::VisualContent;

/// The hub's own part.
#[derive(Serialize)]
pub(super) struct Beckon {
    pub(super) e: String,
    pub(super) k: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) n: Option<String>,
    pub(super) v: u8,
}

/// What APNs takes: `aps`, by Apple's "Generating a remote notification", and ours beside it.
#[derive(Serialize)]
pub(super) struct ApnsBody<'a> {
    pub(super) aps: Aps<'a>,
    pub(super) beckon: Beckon,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Aps<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alert: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) badge: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_available: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mutable_content: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sound: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<&'a str>,
    pub(super) title: &'a str,
}

impl<'a> From<&'a VisualContent> for Text<'a> {
    fn from(it: &'a VisualContent) -> Self {
        Self {
            body: it.body.as_deref(),
            title: &it.title,
        }
    }
}

/// The body of a raw push, with its text where that may leave.
#[derive(Serialize)]
pub(super) struct RawBody<'a> {
    pub(super) beckon: Beckon,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Text<'a>>,
}

/// A body as it leaves. Nothing here can fail to be written: members that are texts and numbers.
pub(super) fn written(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_else(|error| {
        tracing::error!(%error, "a push's body cannot be written");
        String::new()
    })
}
