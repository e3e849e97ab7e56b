//! The ladder: what became of a notification on each device, by the API and by the command line alike.

mod changes;
mod ends;
mod repeats;

use std::{cell::RefCell, time::Duration};

use beckon::{
    doubles::{At, FaultKind, FaultSpec, Service},
    hub::admin::Request,
};
use serde_json::{Value, json};

use crate::support::{TestHub, device::TestDevice, eventually};

const POST: &str = "/v1/users/ada/notifications";

async fn post(hub: &TestHub, body: Value) -> String {
    let posted = hub.app().post(POST, body).await.expect(201);
    posted["id"].as_str().unwrap().to_owned()
}

/// The line of one endpoint, once the operators' door tells it alike: something may happen between two questions.
async fn line(hub: &TestHub, id: &str, endpoint: &str) -> Value {
    let path = format!("{POST}/{id}/deliveries");
    let report = eventually("both doors tell the same", || async {
        let report = hub.app().get(&path).await.expect(200);
        let notification = id.to_owned();
        let explain = Request::Explain { notification };
        let told = hub.running().hub.admin(explain).await.unwrap();
        (told == report).then_some(report)
    })
    .await;
    let lines = report["value"].as_array().unwrap();
    let found = lines.iter().find(|it| it["endpointId"] == endpoint);
    found.unwrap().clone()
}

/// Waits until the sentence about an endpoint is this one; times are written as `T`.
async fn says(hub: &TestHub, id: &str, endpoint: &str, expected: &str) -> Value {
    let said = RefCell::new(Vec::new());
    eventually(expected, || async {
        let it = line(hub, id, endpoint).await;
        let sentence = timeless(it["explanation"].as_str().unwrap());
        let found = sentence == expected;
        if said.borrow().last() != Some(&sentence) {
            // Shown where the test fails.
            println!("{sentence}");
            said.borrow_mut().push(sentence);
        }
        found.then_some(it)
    })
    .await
}

fn timeless(sentence: &str) -> String {
    let words = sentence.split(' ').map(|word| {
        let time = word.trim_end_matches([';', ',', ':']);
        if time.len() == 24 && time.ends_with('Z') {
            word.replace(time, "T")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_device_climbs_the_ladder() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    let never = "tapped at T, APNs answered 200; not fetched yet; the device has never fetched anything; next attempt at T";
    says(&hub, &id, &phone.endpoint, never).await;
    phone.next_push("the tap").await;
    phone.pull().await;
    let fetched = "tapped at T, APNs answered 200; the device fetched it at T";
    says(&hub, &id, &phone.endpoint, fetched).await;
    let shown = json!({"shown": [id]});
    phone
        .client
        .post("/v1/me/notifications/receipts", shown)
        .await
        .expect(204);
    says(
        &hub,
        &id,
        &phone.endpoint,
        &format!("{fetched}; it was shown at T"),
    )
    .await;
    phone
        .set(&id, json!({"userActionState": "activated"}))
        .await;
    let acted = format!("{fetched}; it was shown at T; the person acted on it there at T");
    let it = says(&hub, &id, &phone.endpoint, &acted).await;
    assert_eq!(it["status"], "acted");

    let later = post(
        &hub,
        json!({"payload": {"visualContent": {"title": "later"}}}),
    )
    .await;
    let silent = "tapped at T, APNs answered 200; not fetched yet; the device last fetched anything at T; next attempt at T";
    let it = says(&hub, &later, &phone.endpoint, silent).await;
    assert!(it["lastFetchedDateTime"].is_string(), "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_it_on_a_device_acted_on_it_there() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let tablet = hub.device("ada", Service::Fcm).await;
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    phone.next_push("the tap").await;
    phone.pull().await;
    let fetched = "tapped at T, APNs answered 200; the device fetched it at T";
    says(&hub, &id, &phone.endpoint, fetched).await;
    let path = format!("/v1/me/notifications/{id}");
    phone.client.delete(&path).await.expect(204);
    let acted = format!("{fetched}; the person acted on it there at T");
    let it = says(&hub, &id, &phone.endpoint, &acted).await;
    assert_eq!(it["status"], "acted", "{it}");
    let it = line(&hub, &id, &tablet.endpoint).await;
    assert!(it["actedDateTime"].is_null(), "{it}");

    // What the app takes back nobody acted on.
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    hub.app().delete(&format!("{POST}/{id}")).await.expect(204);
    let it = line(&hub, &id, &phone.endpoint).await;
    assert!(it["actedDateTime"].is_null(), "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_pulls_and_finds_nothing_is_not_told_to_be_off() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    phone.pull().await;
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    let there = "tapped at T, FCM answered 200; not fetched yet; the device last fetched anything at T; next attempt at T";
    says(&hub, &id, &phone.endpoint, there).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_left_out_is_told_why() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Fcm).await;
    hub.registered("ada", "dashboard").await;
    let to_apple =
        json!({"targetPolicy": {"platformTypes": ["iOS"]}, "payload": {"rawContent": "r"}});
    let id = post(&hub, to_apple).await;
    says(
        &hub,
        &id,
        &phone.endpoint,
        "no tap: not targeted, targetPolicy does not name android",
    )
    .await;
    says(
        &hub,
        &id,
        "dashboard",
        "no tap: the endpoint has no push channel, it streams or pulls",
    )
    .await;
    hub.doubles()
        .script(FaultSpec::always(Service::Fcm, FaultKind::Gone));
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    let gone = "the channel is gone since T (FCM answered 404 UNREGISTERED: Requested entity was not found.); the app has to register again";
    let it = says(&hub, &id, &phone.endpoint, gone).await;
    assert!(it["channelGoneDateTime"].is_string(), "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_announced_for_a_device_that_has_no_channel_any_more() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Fcm).await;
    let id = post(&hub, json!({"payload": {"rawContent": "r"}})).await;
    let tapped =
        "tapped at T, FCM answered 200; not fetched yet; the device has never fetched anything";
    let repeated = format!("{tapped}; next attempt at T");
    says(&hub, &id, &phone.endpoint, &repeated).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Fcm, FaultKind::Gone));
    hub.advance(Duration::from_secs(2));
    post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    eventually("the channel is gone", || async {
        let it = line(&hub, &id, &phone.endpoint).await;
        (it["channel"] == "none").then_some(())
    })
    .await;
    let lost = format!("{tapped}; the channel is gone since T, the app has to register again");
    let it = says(&hub, &id, &phone.endpoint, &lost).await;
    assert!(it["nextAttemptDateTime"].is_null(), "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_says_for_what_and_until_when() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Apns).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Apns, FaultKind::ServerError));
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    let retried = "waiting since T for a tap that was tried once: the push service could not take it (APNs answered 500 InternalServerError); next attempt at T";
    let it = says(&hub, &id, &phone.endpoint, retried).await;
    assert!(it["nextAttemptDateTime"].is_string(), "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_with_all_others_is_not_told_as_refused() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Apns).await;
    hub.device("bob", Service::Apns).await;
    let updates = "tooManyProviderTokenUpdates";
    let updates = FaultKind::named(Service::Apns, At::Push, updates).unwrap();
    hub.doubles()
        .script(FaultSpec::once(Service::Apns, updates));
    hub.post("bob", "Lunch?").await;
    eventually("the lane stands still", || async {
        let at_rest = hub.running().hub.lanes_at_rest();
        (!at_rest.is_empty()).then_some(())
    })
    .await;
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    let waits = "waiting for a tap since T: the hub waits with all pushes to this service (APNs answered 429 TooManyProviderTokenUpdates); next attempt at T";
    let it = says(&hub, &id, &phone.endpoint, waits).await;
    assert_eq!(
        (&it["attempts"], &it["reason"]),
        (&json!(0), &json!("retry"))
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_an_earlier_tap_says_so() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Fcm).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Fcm, FaultKind::ServerError));
    let tried = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    eventually("it was tried", || async {
        let it = line(&hub, &tried, &phone.endpoint).await;
        (it["attempts"] == 1).then_some(())
    })
    .await;
    hub.clock.advance(Duration::from_millis(1));
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "u"}}})).await;
    let waits = "waiting for a tap since T: held back, an earlier tap was not taken (FCM answered 500 INTERNAL: Internal error encountered.); next attempt at T";
    let it = says(&hub, &id, &phone.endpoint, waits).await;
    assert_eq!(it["attempts"], 0);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_fetched_before_its_time_was_over_says_so() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    let expires = hub.clock.now().plus(Duration::from_secs(600)).to_string();
    let short =
        json!({"expirationDateTime": expires, "payload": {"visualContent": {"title": "t"}}});
    let id = post(&hub, short).await;
    phone.next_push("the tap").await;
    // Nothing is deleted while the clock is doubted.
    hub.clock
        .set_wall(hub.clock.now().plus(Duration::from_hours(1)));
    let over = "tapped at T, FCM answered 200; its time was over first";
    let it = says(&hub, &id, &phone.endpoint, over).await;
    assert_eq!(it["status"], "expired");
    assert!(it["nextAttemptDateTime"].is_null(), "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_would_come_too_late_is_not_announced() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Fcm).await;
    hub.doubles().script(FaultSpec {
        retry_after_seconds: Some(3600),
        ..FaultSpec::always(Service::Fcm, FaultKind::Throttled)
    });
    let expires = hub.clock.now().plus(Duration::from_secs(600)).to_string();
    let short =
        json!({"expirationDateTime": expires, "payload": {"visualContent": {"title": "t"}}});
    let id = post(&hub, short).await;
    let it = eventually("it was tried", || async {
        let path = format!("/v1/users/ada/notifications/{id}/deliveries");
        let it = hub.app().get(&path).await.expect(200)["value"][0].clone();
        (it["attempts"] == 1).then_some(it)
    })
    .await;
    let said = it["explanation"].as_str().unwrap();
    assert!(
        said.ends_with("; its time is over before the next attempt"),
        "{said}"
    );
    assert!(it["nextAttemptDateTime"].is_null(), "{it}");
    assert_eq!(it["endpointId"], phone.endpoint.as_str());
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_operator_is_told_what_the_service_said_of_another() {
    let hub = TestHub::at_a_standstill().await;
    let first = hub.device("ada", Service::Wns).await;
    hub.doubles().script(FaultSpec::always(
        Service::Wns,
        FaultKind::CredentialRefused,
    ));
    let one = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    let stands = async |id: &str, endpoint: &str| {
        eventually("it stands still", || async {
            let it = line(&hub, id, endpoint).await;
            let said = it["explanation"].as_str().unwrap();
            let told = ["until the operator acts", "WNS answered 401"];
            told.iter().all(|part| said.contains(part)).then_some(())
        })
        .await;
    };
    stands(&one, &first.endpoint).await;
    let second = hub.device("ada", Service::Wns).await;
    let two = post(&hub, json!({"payload": {"visualContent": {"title": "u"}}})).await;
    stands(&two, &second.endpoint).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_settings_that_were_taken_away_is_told_so() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Apns).await;
    let running = hub.running();
    hub.clock.advance(Duration::from_millis(1));
    let apps = running.hub.apps().all();
    let without = apps.iter().map(|app| {
        let mut app = beckon::config::apps::App::clone(app);
        app.apns = None;
        std::sync::Arc::new(app)
    });
    running.reload(without.collect()).await.unwrap();
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    let stopped = "waiting for a tap since T: pushes to this service stand still until the operator acts (the app has no settings for apns); next attempt at T";
    says(&hub, &id, &phone.endpoint, stopped).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_covered_falls_back_or_waits_its_turn() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let raw = |text: &str| json!({"payload": {"rawContent": text}});
    let first = post(&hub, raw("one")).await;
    let tapped = "tapped at T, APNs answered 200; not fetched yet; the device has never fetched anything; next attempt at T";
    says(&hub, &first, &phone.endpoint, tapped).await;
    let second = post(&hub, raw("two")).await;
    let held = "waiting for a tap since T: held back, an earlier tap has not been answered yet; next attempt at T";
    says(&hub, &second, &phone.endpoint, held).await;
    let fallback = json!({"endpointFallback": {
        "platformTypes": ["iOS"], "fallbackDelayInSeconds": 60, "visualContent": {"title": "Look"}
    }});
    hub.advance(Duration::from_secs(2));
    let urgent =
        json!({"priority": "High", "payload": {"rawContent": "three"}, "fallbackPolicy": fallback});
    let third = post(&hub, urgent).await;
    says(&hub, &third, &phone.endpoint, tapped).await;
    let covered = "covered by a later tap at T, APNs answered 200; not fetched yet; the device has never fetched anything; next attempt at T";
    says(&hub, &second, &phone.endpoint, covered).await;
    hub.advance(Duration::from_secs(60));
    let fell_back = "tapped at T, APNs answered 200; fell back to a visible push at T; not fetched yet; the device has never fetched anything; next attempt at T";
    says(&hub, &third, &phone.endpoint, fell_back).await;
    phone.pull().await;
    let fetched = "tapped at T, APNs answered 200; fell back to a visible push at T; the device fetched it at T";
    says(&hub, &third, &phone.endpoint, fetched).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_device_fetched_what_is_gone_is_told_however_often_it_fetched_since() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    let gone = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    let kept = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    let fetched = async |phone: &mut TestDevice, id: &str| {
        phone.pull().await;
        eventually("the fetch is told", || async {
            let it = line(&hub, id, &phone.endpoint).await;
            (it["status"] == "fetched").then_some(it)
        })
        .await
    };
    let at = fetched(&mut phone, &gone).await["fetchedDateTime"].clone();
    hub.app()
        .delete(&format!("{POST}/{gone}"))
        .await
        .expect(204);
    for _ in 0..52 {
        hub.advance(Duration::from_secs(1));
        let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
        fetched(&mut phone, &id).await;
    }
    let of_gone = line(&hub, &gone, &phone.endpoint).await;
    let told = (&of_gone["status"], &of_gone["fetchedDateTime"]);
    assert_eq!(told, (&json!("fetched"), &at));
    let of_kept = line(&hub, &kept, &phone.endpoint).await;
    assert_eq!(of_kept["status"], "fetched");
    let told = &of_kept["fetchedDateTime"];
    assert!(told.is_null() || *told == at, "{of_kept}");
    hub.finish().await;
}
