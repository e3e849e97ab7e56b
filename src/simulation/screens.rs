//! What the devices show of what they were handed, by each platform's own rule for what takes the place of what: of one
//! notification a person never sees two.

use std::collections::BTreeMap;

use super::{answers::Answers, carried::Carried, promises::Promises};
use crate::{
    doubles::{HandedOver, Push, Service},
    model::Timestamp,
};

/// The screens.
#[derive(Default)]
pub(super) struct Screens {
    /// By the double's id of each device: what is shown, by what is replaced by its like.
    all: BTreeMap<String, BTreeMap<String, String>>,
    /// When the first push about a notification left for an endpoint.
    left: BTreeMap<(String, String), Timestamp>,
}

impl Screens {
    /// A push leaves for an endpoint.
    pub(super) fn leaves(&mut self, endpoint: &str, carried: &Carried, now: Timestamp) {
        if let Some(id) = carried.shows() {
            let push = (endpoint.to_owned(), id.to_owned());
            self.left.entry(push).or_insert(now);
        }
    }

    /// A device of an endpoint is handed a push; says what is wrong with what it shows then.
    pub(super) fn handed(
        &mut self,
        (endpoint, handed): (&str, &HandedOver),
        (promises, answers): (&Promises, &Answers),
    ) -> Option<String> {
        let service = handed.service;
        let carried = Carried::handed(service, &handed.push)?;
        let id = carried.shows()?;
        let place = place(service, &handed.push, &carried)?;
        let screen = self.all.entry(handed.device.clone()).or_default();
        screen.insert(place, id.to_owned());
        let shown: Vec<_> = screen.iter().filter(|(_, of)| *of == id).collect();
        let push = (endpoint.to_owned(), id.to_owned());
        let since = self.left.get(&push).copied().unwrap_or_default();
        // Of toasts none takes another's place: one is shown with each posting, and with what nobody heard the end of.
        let may = match service {
            Service::Wns => {
                promises.shown_at_most(id, since) + answers.failed_since(endpoint, since)
            }
            _ => 1,
        };
        (shown.len() > may)
            .then(|| format!("{endpoint} shows {id} {} times: {shown:?}", shown.len()))
    }
}

/// Where on its screen a device shows a push: another one takes its place there. None, where the platform shows nothing.
fn place(service: Service, push: &Push, carried: &Carried) -> Option<String> {
    let alone = || push.message_id.clone();
    match (service, push.kind.as_str()) {
        (Service::Apns, "alert") => Some(push.collapse.clone().unwrap_or_else(alone)),
        (Service::Fcm, "notification") => Some(tag(&carried.text).unwrap_or_else(alone)),
        (Service::Wns, "wns/toast") => Some(alone()),
        // The page tags what it shows; what waits for it is told apart by its topic.
        (Service::WebPush, _) => push.collapse.clone(),
        _ => None,
    }
}

fn tag(text: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(text).ok()?;
    message["notification"]["tag"].as_str().map(str::to_owned)
}
