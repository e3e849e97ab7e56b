//! How long what leaves is of use: nothing about what has expired is pushed, and no service is to keep it for longer.

use std::time::Duration;

use super::{
    answers::ON_ITS_WAY,
    carried::Carried,
    network::{Inner, Network},
    time::Moment,
};
use crate::{doubles::Service, egress::in_process::Sent, model::Timestamp};

/// The shortest life that all browsers' services take.
const WEB_PUSH_MIN: Duration = Duration::from_secs(60);

impl Network {
    /// What leaves is about something that still is; and its service is told to keep it for no longer, but for the
    /// minute that browsers' services ask for.
    ///
    /// It was composed so long `ago`: within that minute a second attempt may follow the first.
    pub(super) fn look_at_its_life(
        &self,
        service: Service,
        (carried, ago): (&Carried, Duration),
        sent: &Sent,
    ) {
        let Some(moment) = self.moment() else {
            return;
        };
        let mut at_the_latest = self.composed_at_the_latest(moment);
        if service == Service::WebPush {
            let ago = u64::try_from(ago.min(WEB_PUSH_MIN).as_millis()).expect("a minute is short");
            at_the_latest = Timestamp::from_millis(at_the_latest.as_millis() - ago);
        }
        self.with(|inner| {
            let over = inner.over(carried, at_the_latest);
            if !over.is_empty() {
                inner.faults.push(format!(
                    "at {at_the_latest} {service:?} was sent what had expired: {over:?}"
                ));
            }
            if let (Some(life), Some(until)) = (life(service, carried, sent), inner.until(carried))
            {
                let left = until.since(at_the_latest) + ON_ITS_WAY;
                let least = match service {
                    Service::WebPush => WEB_PUSH_MIN,
                    _ => Duration::ZERO,
                };
                if life > left.max(least) {
                    inner.faults.push(format!(
                        "at {moment:?} {service:?} is to keep for {life:?} what ends at {until}: {carried:?}"
                    ));
                }
            }
        });
        if service == Service::Apns {
            self.look_at_expiration(carried, sent);
        }
    }

    /// Where the wall is right, Apple is told a time by which what is shown is over by the hub's clock, too, though that
    /// may be ahead of it.
    fn look_at_expiration(&self, carried: &Carried, sent: &Sent) {
        let header = sent.headers.get("apns-expiration");
        let expiration: Option<u64> = header.map(|it| it.to_str().unwrap().parse().unwrap());
        let (Some(expiration), Some(now)) = (expiration, self.moment()) else {
            return;
        };
        let expiration = Timestamp::from_millis(1000 * expiration);
        self.with(|inner| {
            let wall = inner.times.as_ref().map(|(clock, _)| clock.wall());
            let of_late = |leap: &Moment| leap.truth.plus(ON_ITS_WAY) > now.truth;
            if wall != Some(now.truth) || inner.leaps.iter().any(of_late) {
                return;
            }
            let until = inner.until(carried);
            if until.is_some_and(|until| expiration > now.truth.plus(until.since(now.hub))) {
                inner.faults.push(format!(
                    "Apple is to keep {carried:?} until {expiration}, at {now:?}"
                ));
            }
        });
    }

    /// What the hub's clock says, but for leaps that came while what leaves now may have been on its way out.
    fn composed_at_the_latest(&self, now: Moment) -> Timestamp {
        self.with(|inner| {
            let recent = |leap: &&Moment| leap.truth.plus(ON_ITS_WAY) > now.truth;
            let recent = inner.leaps.iter().filter(recent);
            let without = recent.map(|leap| leap.hub.plus(now.truth.since(leap.truth)));
            without.fold(now.hub, Timestamp::min)
        })
    }
}

impl Inner {
    /// Until when what a push names may be pushed.
    fn until(&self, carried: &Carried) -> Option<Timestamp> {
        self.expires.get(carried.id.as_deref()?).copied()
    }

    /// What in a push is over by then, whether named or quoted.
    fn over(&self, carried: &Carried, now: Timestamp) -> Vec<String> {
        let over = self.expires.iter().filter(|(id, until)| {
            **until <= now && (carried.id.as_ref() == Some(*id) || carried.text.contains(*id))
        });
        over.map(|(id, until)| format!("{id} ({until})")).collect()
    }
}

/// For how long a service is told to keep a push; Apple is told until when.
fn life(service: Service, carried: &Carried, sent: &Sent) -> Option<Duration> {
    let header = |name: &str| Some(sent.headers.get(name)?.to_str().ok()?.to_owned());
    let secs = match service {
        Service::Apns => return None,
        Service::WebPush => header("ttl"),
        Service::Wns => header("x-wns-ttl"),
        Service::Fcm => fcm_ttl(&carried.text),
    };
    let secs = secs.and_then(|secs| secs.parse().ok());
    Some(Duration::from_secs(secs.expect("each push has a life")))
}

fn fcm_ttl(text: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(text).ok()?;
    let ttl = body["message"]["android"]["ttl"].as_str()?;
    ttl.strip_suffix('s').map(str::to_owned)
}
