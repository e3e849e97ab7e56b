//! A clock that leaps: what is hidden, what is kept, what goes on, and how it is put right.

use std::time::Duration;

use beckon::{
    doubles::{FaultKind, FaultSpec, Service},
    hub::admin::Request,
    model::Timestamp,
};
use serde_json::{Value, json};

use crate::support::{TestHub, device::beckon_of, eventually};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn status(hub: &TestHub) -> String {
    let ready = hub.client().get("/readyz").await.expect(200);
    ready["status"].as_str().unwrap().to_owned()
}

async fn expire(hub: &TestHub, now: bool) -> Value {
    let hub = hub.running().hub.clone();
    hub.admin(Request::StoreExpire { now }).await.unwrap()
}

async fn titles(hub: &TestHub) -> Vec<String> {
    let list = hub
        .app()
        .get("/v1/users/ada/notifications")
        .await
        .expect(200);
    let titles = list["value"].as_array().unwrap().iter();
    titles
        .map(|it| {
            let title = &it["payload"]["visualContent"]["title"];
            title.as_str().unwrap().to_owned()
        })
        .collect()
}

/// How many rows of notifications there are, hidden ones too.
fn kept(hub: &TestHub) -> u64 {
    let store = hub.running().hub.store().clone();
    store.reader().held().unwrap().notifications
}

/// The wall of the hub says something else from now on; so do the push services, who would refuse its credentials.
fn leap(hub: &TestHub, forward: Duration) {
    hub.clock.set_wall(hub.clock.wall().plus(forward));
    let secs = i64::try_from(forward.as_secs()).unwrap();
    let offset = hub.doubles().clock_offset();
    hub.doubles().set_clock_offset(offset + secs);
}

fn leap_back(hub: &TestHub, back: Duration) {
    hub.clock.set_wall(hub.clock.wall().minus(back));
    let secs = i64::try_from(back.as_secs()).unwrap();
    let offset = hub.doubles().clock_offset();
    hub.doubles().set_clock_offset(offset - secs);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_leap_nothing_is_deleted_for_15_minutes_and_what_is_over_is_not_served() {
    let hub = TestHub::at_a_standstill().await;
    hub.post("ada", "a week").await;
    assert_eq!(status(&hub).await, "ready");
    leap(&hub, DAY * 8);
    assert_eq!(status(&hub).await, "degraded");
    let health = hub.running().hub.admin(Request::Health).await.unwrap();
    assert!(health["clockDoubtedUntilDateTime"].is_string(), "{health}");
    assert_eq!(
        titles(&hub).await,
        [""; 0],
        "never served from its expiry on"
    );
    let held = expire(&hub, false).await;
    assert_eq!(held["ended"], 0, "{held}");
    assert!(held["heldUntilDateTime"].is_string(), "{held}");
    assert_eq!(kept(&hub), 1, "and not deleted");

    hub.post("ada", "a life goes on").await;
    assert_eq!(titles(&hub).await, ["a life goes on"]);
    hub.clock.advance(MINUTE * 14);
    assert_eq!(status(&hub).await, "degraded");
    assert_eq!(kept(&hub), 2);
    hub.clock.advance(MINUTE);
    assert_eq!(status(&hub).await, "ready");
    eventually("it is deleted now", || async {
        (kept(&hub) == 1).then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_end_the_wait() {
    let hub = TestHub::at_a_standstill().await;
    hub.post("ada", "a week").await;
    leap(&hub, DAY * 8);
    assert_eq!(status(&hub).await, "degraded");
    let ended = expire(&hub, true).await;
    let told = hub.running().hub.store().reader().last_time().unwrap();
    assert_eq!(told, Some(hub.clock.now()), "a kill does not take it back");
    assert!(ended["heldUntilDateTime"].is_null(), "{ended}");
    assert_eq!(status(&hub).await, "ready");
    eventually("it is deleted", || async {
        (kept(&hub) == 0).then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leap_that_is_undone_has_cost_nothing_and_leaves_nobody_waiting() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    hub.post("ada", "before").await;
    phone.next_push("the tap").await;
    phone.pull().await;
    leap(&hub, DAY * 60);
    assert_eq!(status(&hub).await, "degraded");
    assert_eq!(titles(&hub).await, [""; 0]);
    // A push that fails meanwhile is put off for a time that is weeks away.
    hub.doubles().script(beckon::doubles::FaultSpec::always(
        Service::Fcm,
        beckon::doubles::FaultKind::ServerError,
    ));
    let posted = hub.post("ada", "meanwhile").await;
    let id = posted["id"].as_str().unwrap();
    let path = format!("/v1/users/ada/notifications/{id}/deliveries");
    eventually("the tap is put off", || async {
        let report = hub.app().get(&path).await.expect(200);
        // What became of the first tap may have been noted just now, and none follows within a second.
        hub.advance(Duration::from_secs(1));
        (report["value"][0]["pushService"]["status"] == 500).then_some(())
    })
    .await;
    hub.doubles().clear_faults();
    leap_back(&hub, DAY * 60);
    assert_eq!(status(&hub).await, "degraded");
    assert_eq!(titles(&hub).await, ["meanwhile", "before"]);
    hub.advance(MINUTE);
    let handed = phone
        .next_push("the tap, though it was put off for weeks")
        .await;
    assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
    hub.clock.advance(MINUTE * 16);
    assert_eq!(status(&hub).await, "ready");
    assert_eq!(kept(&hub), 2);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leap_that_is_undone_while_the_hub_stands_still_leaves_nobody_waiting() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    hub.post("ada", "before").await;
    phone.next_push("the tap").await;
    leap(&hub, DAY * 60);
    assert_eq!(titles(&hub).await, [""; 0]);
    phone.pull().await;
    assert_eq!(phone.shade(), ["before"], "a delta passes nothing over");
    hub.doubles().script(beckon::doubles::FaultSpec::always(
        Service::Fcm,
        beckon::doubles::FaultKind::ServerError,
    ));
    let posted = hub.post("ada", "meanwhile").await;
    let path = format!(
        "/v1/users/ada/notifications/{}/deliveries",
        posted["id"].as_str().unwrap()
    );
    eventually("the tap is put off", || async {
        let report = hub.app().get(&path).await.expect(200);
        // What became of the first tap may have been noted just now.
        hub.advance(Duration::from_secs(1));
        (report["value"][0]["reason"] == "retry").then_some(())
    })
    .await;
    hub.doubles().clear_faults();
    hub.stop().await;
    leap_back(&hub, DAY * 60);
    hub.start_again().await;
    assert_eq!(status(&hub).await, "ready");
    assert_eq!(titles(&hub).await, ["meanwhile", "before"]);
    hub.advance(MINUTE);
    let handed = phone
        .next_push("the tap, though it was put off for weeks")
        .await;
    assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_while_the_clock_is_doubted_does_not_come_back() {
    let hub = TestHub::at_a_standstill().await;
    let posted = hub.post("ada", "a week").await;
    let path = format!(
        "/v1/users/ada/notifications/{}",
        posted["id"].as_str().unwrap()
    );
    leap(&hub, DAY * 8);
    hub.app().get(&path).await.expect(404);
    hub.app().delete(&path).await.expect(204);
    leap_back(&hub, DAY * 8);
    assert_eq!(titles(&hub).await, [""; 0]);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_never_goes_back_and_taps_go_on() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    let first = hub.post("ada", "first").await;
    phone.next_push("the first tap").await;
    phone.pull().await;
    leap_back(&hub, DAY);
    assert_eq!(status(&hub).await, "degraded");
    let second = hub.post("ada", "second").await;
    let time = |it: &Value| it["createdDateTime"].as_str().unwrap().parse::<Timestamp>();
    assert!(time(&second).unwrap() >= time(&first).unwrap(), "{second}");
    hub.advance(MINUTE);
    phone.next_push("the second tap").await;
    assert_eq!(titles(&hub).await, ["second", "first"]);
    hub.advance(MINUTE * 14);
    assert_eq!(status(&hub).await, "ready");
    // The stored time holds, through a stop too.
    let mut hub = hub;
    hub.restart().await;
    assert_eq!(status(&hub).await, "degraded");
    let third = hub.post("ada", "third").await;
    assert!(time(&third).unwrap() >= time(&second).unwrap(), "{third}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stop_looks_like_a_leap_and_a_short_one_does_not() {
    let mut hub = TestHub::at_a_standstill().await;
    hub.post("ada", "a week").await;
    hub.stop().await;
    hub.clock.advance(MINUTE * 4);
    hub.start_again().await;
    assert_eq!(status(&hub).await, "ready");
    hub.stop().await;
    hub.clock.advance(DAY * 8);
    hub.start_again().await;
    assert_eq!(status(&hub).await, "degraded");
    assert_eq!((titles(&hub).await, kept(&hub)), (Vec::new(), 1));
    hub.clock.advance(MINUTE * 15);
    eventually("it is deleted", || async {
        (kept(&hub) == 0).then_some(())
    })
    .await;
    let told = json!({"status": "ready"});
    assert_eq!(hub.client().get("/readyz").await.expect(200), told);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demanded_wait_is_kept_by_a_start_at_which_the_clock_stands_a_little_behind() {
    for service in [Service::Fcm, Service::Apns] {
        let mut hub = TestHub::at_a_standstill().await;
        let phone = hub.device("ada", service).await;
        hub.doubles().script(FaultSpec {
            retry_after_seconds: Some(3600),
            ..FaultSpec::once(service, FaultKind::Throttled)
        });
        hub.post("ada", "Lunch?").await;
        hub.settled().await;
        let asked = hub.doubles().counters(service).requests;
        leap_back(&hub, Duration::from_secs(5));
        hub.restart().await;
        let commits = || hub.running().hub.store().stats().commits;
        let before = commits();
        for _ in 0..20 {
            hub.advance(Duration::from_secs(1));
            hub.settled().await;
        }
        assert_eq!(hub.doubles().counters(service).requests, asked);
        // Each time somebody registers, to be sure that all was written; and the time is told.
        let written = commits() - before;
        assert!(written < 120, "{written} commits while nothing happens");
        hub.advance(Duration::from_secs(3600));
        eventually("the tap, once the wait is over", || async {
            hub.advance(Duration::from_secs(1));
            (phone.unseen() > 0).then_some(())
        })
        .await;
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_demanded_in_a_leap_ends_with_the_leap_through_a_restart() {
    let mut hub = TestHub::at_a_standstill().await;
    let devices = [
        hub.device("ada", Service::Fcm).await,
        hub.device("bob", Service::Fcm).await,
    ];
    leap(&hub, DAY * 60);
    hub.doubles().script(FaultSpec {
        retry_after_seconds: Some(3600),
        ..FaultSpec::once(Service::Fcm, FaultKind::Throttled)
    });
    hub.post("ada", "Lunch?").await;
    hub.settled().await;
    hub.restart().await;
    leap_back(&hub, DAY * 60);
    hub.advance(Duration::from_secs(3600));
    hub.post("bob", "Lunch?").await;
    for device in devices {
        eventually("the tap, once the leap is undone", || async {
            hub.advance(Duration::from_secs(1));
            (device.unseen() > 0).then_some(())
        })
        .await;
    }
    hub.finish().await;
}
