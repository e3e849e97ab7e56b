//! What leaves again after a tap was taken: how often, and what is told of it.

use std::time::Duration;

use beckon::doubles::{At, FaultKind, FaultSpec, NewDevice, Service};
use serde_json::json;

use super::{post, says};
use crate::support::{TestHub, eventually};

const MINUTE: Duration = Duration::from_mins(1);
const TAPPED: &str = "tapped at T, APNs answered 200; not fetched yet; the device has never fetched anything; next attempt at T";

/// Waits until so many pushes have come to the doubles and nothing is due any more.
async fn arrived(hub: &TestHub, expected: usize) {
    let pushes = || {
        let arrivals = hub.doubles().arrivals(0);
        arrivals.iter().filter(|it| it.device.is_some()).count()
    };
    eventually("the pushes arrive", || async {
        (pushes() >= expected).then_some(())
    })
    .await;
    hub.settled().await;
    assert_eq!(pushes(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_that_is_refused_for_good_is_followed_no_sooner_than_one_that_was_taken() {
    let hub = TestHub::at_a_standstill().await;
    let refusals = [
        (Service::Apns, "badCollapseId"),
        (Service::Fcm, "invalidArgument"),
        (Service::Wns, "badRequest"),
        (Service::WebPush, "mozillaEncryption"),
    ];
    for (service, _) in refusals {
        hub.device("ada", service).await;
    }
    hub.advance(Duration::from_secs(1));
    let id = post(&hub, json!({"payload": {"rawContent": "r"}})).await;
    arrived(&hub, 4).await;
    for (service, answer) in refusals {
        let kind = FaultKind::named(service, At::Push, answer).unwrap();
        hub.doubles().script(FaultSpec::always(service, kind));
    }
    hub.advance(16 * MINUTE);
    arrived(&hub, 8).await;
    for wait in [Duration::from_secs(2), MINUTE, 27 * MINUTE] {
        hub.advance(wait);
        arrived(&hub, 8).await;
    }
    hub.advance(3 * MINUTE);
    arrived(&hub, 12).await;
    hub.advance(58 * MINUTE);
    arrived(&hub, 12).await;
    hub.advance(3 * MINUTE);
    arrived(&hub, 16).await;
    for line in hub
        .app()
        .get(&format!("{}/{id}/deliveries", super::POST))
        .await
        .expect(200)["value"]
        .as_array()
        .unwrap()
    {
        assert_eq!(line["status"], "tapped", "{line}");
        assert_eq!(line["repeat"]["status"], "failed", "{line}");
        assert_eq!(line["repeat"]["pushService"]["status"], 400, "{line}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_that_waits_says_for_what() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.advance(Duration::from_secs(1));
    let id = post(&hub, json!({"payload": {"rawContent": "r"}})).await;
    phone.next_push("the tap").await;
    // Written down before the clock moves.
    says(&hub, &id, &phone.endpoint, TAPPED).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Apns, FaultKind::ServerError));
    hub.advance(16 * MINUTE);
    let tried = "tapped at T, APNs answered 200; another tap was tried once: the push service could not take it (APNs answered 500 InternalServerError); not fetched yet; the device has never fetched anything; next attempt at T";
    let it = says(&hub, &id, &phone.endpoint, tried).await;
    assert_eq!(it["repeat"]["status"], "pending", "{it}");
    assert_eq!(it["repeat"]["reason"], "retry", "{it}");
    assert_eq!(it["pushService"]["status"], 200, "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_says_of_a_new_channel_is_told_beside_what_the_old_one_was_tapped() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    phone.next_push("the tap").await;
    says(&hub, &id, &phone.endpoint, TAPPED).await;
    let anew = hub
        .doubles()
        .add_device(NewDevice::of(Service::Apns))
        .unwrap();
    hub.doubles().script(FaultSpec {
        device: Some(anew.id.clone()),
        retry_after_seconds: Some(300),
        ..FaultSpec::always(Service::Apns, FaultKind::Throttled)
    });
    hub.advance(MINUTE);
    let channel = serde_json::to_value(&anew.channel).unwrap();
    let path = format!("/v1/me/endpoints/{}", phone.endpoint);
    phone
        .client
        .put(&path, json!({"channel": channel}))
        .await
        .expect(200);
    hub.advance(MINUTE);
    let tried = "tapped at T, APNs answered 200; another tap was tried once: the push service could not take it (APNs answered 429 TooManyRequests); not fetched yet; the device has never fetched anything; next attempt at T";
    let it = says(&hub, &id, &phone.endpoint, tried).await;
    assert_eq!(
        it["repeat"]["pushService"]["reason"], "TooManyRequests",
        "{it}"
    );
    hub.finish().await;
}
