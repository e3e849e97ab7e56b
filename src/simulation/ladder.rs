//! What the hub tells of its deliveries: the answer that each endpoint's last push really got, in the record and in the
//! sentence; and of its channels: which are dead.

use super::world::{PEOPLE, World, subject};
use crate::{
    hub::{Hub, explanation},
    model::{Delivery, DeliveryStatus, NotificationId},
};

impl World {
    /// No channel is gone of whose death no service spoke.
    pub(super) async fn check_channels(&self, hub: &Hub) {
        for user in PEOPLE {
            let endpoints = hub.endpoints(subject(user)).await.unwrap();
            for it in endpoints.iter().filter(|it| it.gone.is_some()) {
                let name = it.id.as_str();
                let may_be = self.network.answers(|answers| answers.may_be_gone(name));
                if !may_be {
                    self.show(hub, name).await;
                }
                assert!(may_be, "{name} was dropped alive: {it:#?}");
            }
        }
    }

    /// Each line of each kept notification tells of its endpoint what that was answered.
    pub(super) async fn check_ladder(&self, hub: &Hub) {
        for user in PEOPLE {
            for (id, it) in &self.kept[user] {
                if it.expires <= hub.now() {
                    continue;
                }
                // It may have expired or been retired meanwhile.
                let Ok(lines) = hub.deliveries(subject(user), *id).await else {
                    continue;
                };
                for line in lines {
                    self.check_line(hub, *id, &line).await;
                }
            }
        }
    }

    async fn check_line(&self, hub: &Hub, id: NotificationId, line: &Delivery) {
        let Some(fault) = self.fault_of(id, line) else {
            return;
        };
        let who = line.endpoint.as_str();
        self.show(hub, who).await;
        let (now, said) = (hub.now(), explanation(line));
        panic!("{who} and {id}, at {now}: {fault}\n{said}\n{line:#?}");
    }

    async fn show(&self, hub: &Hub, endpoint: &str) {
        let mut all = self.devices.iter();
        let device = all.find(|it| it.name() == endpoint);
        device.expect("only devices of ours").explain(hub).await;
    }

    fn fault_of(&self, id: NotificationId, line: &Delivery) -> Option<String> {
        let mut all = self.devices.iter();
        let device = all.find(|it| it.endpoint == line.endpoint)?;
        let now = self.moment();
        let doubt = self
            .network
            .answers(|answers| answers.doubts(device.service, line, now));
        doubt
            .or_else(|| misses(line))
            .or_else(|| self.hides_fallback(id, line))
    }

    /// That it says nothing of a fallback that its service took.
    fn hides_fallback(&self, id: NotificationId, line: &Delivery) -> Option<String> {
        let (who, id) = (line.endpoint.as_str(), id.to_string());
        let (now, mut fell_back) = (self.moment().truth, false);
        self.network
            .promises(|promises| fell_back = promises.fell_back(who, &id, now));
        (fell_back && line.fell_back.is_none())
            .then(|| String::from("it fell back, and that is not told"))
    }
}

/// What the sentence leaves out.
fn misses(line: &Delivery) -> Option<String> {
    let said = explanation(line);
    let tells_answer = matches!(
        line.status,
        DeliveryStatus::Pending
            | DeliveryStatus::Tapped
            | DeliveryStatus::Failed
            | DeliveryStatus::Gone
    );
    let answer = line.answer.iter().filter(|_| tells_answer);
    let answer = answer.flat_map(|answer| {
        let status = (answer.status != 0).then(|| answer.status.to_string());
        status.into_iter().chain(answer.reason.clone())
    });
    let times = [line.fetched, line.shown, line.acted, line.fell_back];
    let times = times.into_iter().flatten().map(|at| at.to_string());
    let mut missing = answer.chain(times).filter(|it| !said.contains(it));
    missing
        .next()
        .map(|it| format!("the sentence does not tell {it}"))
}
