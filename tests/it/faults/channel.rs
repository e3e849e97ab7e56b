//! What a push service says of one channel: it concerns that one, in the end it counts, and it holds up no other.

use std::time::Duration;

use beckon::doubles::{At, FaultKind, FaultSpec, Service};
use serde_json::json;

use crate::support::{TestHub, eventually};

fn always(service: Service, name: &str) -> FaultSpec {
    let kind = FaultKind::named(service, At::Push, name).unwrap();
    FaultSpec::always(service, kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_single_channels_holds_up_no_other() {
    for (service, name) in [
        (Service::WebPush, "ntfyNoSubscriber"),
        (Service::Fcm, "deviceQuotaExceeded"),
        (Service::Wns, "channelThrottled"),
        (Service::Apns, "throttled"),
    ] {
        let hub = TestHub::at_a_standstill().await;
        for nth in 0..8 {
            let user = format!("grace-{nth}");
            let away = hub.device(&user, service).await;
            let device = Some(away.device.id.clone());
            hub.doubles().script(FaultSpec {
                device,
                ..always(service, name)
            });
            hub.post(&user, "Lunch?").await;
        }
        eventually("all of them were asked for", || async {
            (hub.doubles().counters(service).faulted >= 8).then_some(())
        })
        .await;
        hub.settled().await;
        let mut phone = hub.device("ada", service).await;
        hub.post("ada", "Lunch?").await;
        phone.next_push(name).await;
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_called_invalid_for_days_is_dead() {
    let hub = TestHub::at_a_standstill().await;
    let browser = hub.device("ada", Service::WebPush).await;
    hub.doubles()
        .script(always(Service::WebPush, "googleInvalidEndpoint"));
    hub.post("ada", "Lunch?").await;
    let dead = || async {
        let path = "/v1/users/ada/endpoints";
        let found = hub.app().get(path).await.expect(200)["value"][0].clone();
        assert_eq!(found["id"], json!(browser.endpoint));
        found["channelGoneDateTime"].is_string()
    };
    let mut hours = 0;
    eventually("it is given up", || {
        hours += 1;
        // Not in one leap, which would be doubted.
        hub.advance(Duration::from_hours(1));
        async {
            hub.settled().await;
            dead().await.then_some(())
        }
    })
    .await;
    assert!((72..80).contains(&hours), "after {hours} hours");
    hub.finish().await;
}
