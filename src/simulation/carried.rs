//! What a push says to its device: read from the request, in each service's form.

use quick_xml::escape::unescape;
use serde_json::Value;

use crate::{
    doubles::{Push, Service, inside::Inside},
    egress::in_process::Sent,
};

/// The hub's own part of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carried {
    /// Its kind, as on the wire: `created`, `changed`, `fallback`, `test`.
    pub(super) kind: String,
    /// The notification that it names.
    pub(super) id: Option<String>,
    /// The whole of what can be read.
    pub(super) text: String,
}

impl Carried {
    /// What a request carries; none where it is no push.
    pub(super) fn read(inside: &Inside, service: Service, sent: &Sent) -> Option<Self> {
        let text = match service {
            Service::WebPush => inside.plaintext(sent.url.path(), &sent.body)?,
            _ => sent.body.to_vec(),
        };
        Self::said(service, String::from_utf8(text).ok()?)
    }

    /// What a device was handed says; none where it says nothing of the hub's.
    pub(super) fn handed(service: Service, push: &Push) -> Option<Self> {
        let text = String::from_utf8(push.body.as_ref()?.bytes()).ok()?;
        Self::said(service, text)
    }

    fn said(service: Service, text: String) -> Option<Self> {
        let part = match service {
            Service::Fcm => {
                let whole = parse(&text)?;
                // As it is sent, or as the device gets it.
                let message = member(&whole, "message").unwrap_or(whole);
                member(&message, "data")?
            }
            Service::Wns if text.starts_with('<') => {
                member(&parse(&unescape(launch(&text)?).ok()?)?, "beckon")?
            }
            _ => member(&parse(&text)?, "beckon")?,
        };
        let named = |name: &str| part.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            kind: named("k")?,
            id: named("n"),
            text,
        })
    }

    pub(super) fn is_fallback(&self) -> bool {
        self.kind == "fallback"
    }

    pub(super) fn is_test(&self) -> bool {
        self.kind == "test"
    }

    /// Whether it is about one notification, which the device is to have shown.
    pub(super) fn shows(&self) -> Option<&str> {
        let shows = matches!(self.kind.as_str(), "created" | "fallback");
        self.id.as_deref().filter(|_| shows)
    }
}

fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn member(object: &Value, name: &str) -> Option<Value> {
    object.get(name).cloned()
}

/// A toast's `launch`, as it stands there.
fn launch(toast: &str) -> Option<&str> {
    let (_, rest) = toast.split_once("launch=\"")?;
    rest.split_once('"').map(|(launch, _)| launch)
}
