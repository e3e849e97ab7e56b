//! What the network sees is taken into account: pushes as they leave, answers as they are heard, and what the devices are
//! handed.

use super::{
    answers::Heard,
    carried::Carried,
    network::{GARBAGE, Network, Push},
    time::Moment,
};
use crate::{
    doubles::{Entry, Service},
    egress::{Answer, Failure, in_process::Sent},
    model::Timestamp,
};

impl Network {
    /// Tells devices what they were handed since this was last asked.
    pub(super) fn tell(&self) {
        let told = self.with(|inner| inner.told);
        for entry in self.handle().entries(told) {
            self.with(|inner| inner.told = entry.seq());
            let Entry::HandedOver(handed) = entry else {
                continue;
            };
            let Some((endpoint, inbox)) =
                self.with(|inner| inner.inboxes.get(&handed.device).cloned())
            else {
                continue;
            };
            self.with(|inner| {
                let accounts = (&inner.promises, &inner.answers);
                let fault = inner.screens.handed((&endpoint, &handed), accounts);
                inner.faults.extend(fault);
            });
            inbox.unread.lock().unwrap().push(handed);
            inbox.bell.notify_one();
        }
    }

    /// Looks at a push that is about to leave.
    pub(super) fn look_at(
        &self,
        service: Service,
        (endpoint, channel): (&str, &str),
        (carried, sent): (&Carried, &Sent),
        now: Moment,
    ) {
        let composed = self.with(|inner| {
            let composed = inner.answers.composed(service, endpoint, now.truth);
            let dead = inner.promises.leaves((endpoint, channel), now.truth);
            let held = inner.promises.is_held(endpoint, carried, composed);
            inner.screens.leaves(endpoint, carried, now.truth);
            let early = inner.answers.too_soon(endpoint, (composed, now));
            let handled = inner.promises.is_handled(endpoint, carried, composed);
            let faults = [dead, held, early, handled].into_iter().flatten();
            inner.faults.extend(faults);
            inner.answers.leaves(service, Some(endpoint));
            composed
        });
        let ago = now.truth.since(composed);
        self.look_at_its_life(service, (carried, ago), sent);
    }

    /// Takes in what came of a request.
    pub(super) fn hear(
        &self,
        service: Service,
        (push, sent): (Option<Push<'_>>, &Sent),
        answer: &Result<Answer, Failure>,
        (left, now): (Timestamp, Moment),
    ) {
        let heard = Heard::of(service, push.is_none(), answer, (left, now));
        self.with(|inner| {
            let Some(((endpoint, channel), carried)) = push else {
                return inner.answers.heard(service, None, heard);
            };
            inner.promises.came_back(endpoint);
            let heard = heard.test(carried.is_test());
            if heard.calls_dead(service) {
                inner.promises.died(channel, (left, now.truth));
            }
            inner.answers.heard(service, Some(endpoint), heard);
            let Ok(answer) = answer else {
                return;
            };
            if is_taken(answer) {
                let push_type = sent.headers.get("apns-push-type");
                let is_background = push_type.is_some_and(|it| it == "background");
                let fault =
                    inner
                        .promises
                        .taken((service, endpoint), (&carried, is_background, left), now);
                inner.faults.extend(fault);
            }
        });
    }
}

/// Whether an answer says that the push was taken. What is dropped or throttled was not.
fn is_taken(answer: &Answer) -> bool {
    let not = matches!(
        answer.header("x-wns-status"),
        Some("dropped" | "channelthrottled")
    );
    (200..300).contains(&answer.status) && !answer.body.starts_with(GARBAGE) && !not
}
