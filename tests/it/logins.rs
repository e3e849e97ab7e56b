//! The other way into a push service: a certificate for Apple in place of a token's key, the Partner Center's login for Windows
//! in place of Entra's. From the post to the pull, and what is told when the service takes neither.

use std::time::Duration;

use beckon::{
    clock::Clock,
    doubles::{Handle, NewCertificate, NewDevice, Service},
};
use serde_json::Value;

use crate::support::{
    TestDevice, TestHub,
    device::beckon_of,
    eventually,
    hub::{Tell, instead},
};

/// By the certificate that the doubles hand out with their settings.
fn by_certificate(doubles: &Handle) -> String {
    let text = doubles.settings().app_toml();
    instead(&text, "apns", &["key_file", "key_id", "team_id"])
}

/// By one that ends in an hour.
fn by_one_for_an_hour(doubles: &Handle) -> String {
    let now = Clock::system().now().as_secs();
    let wanted = NewCertificate {
        ends_at_secs: Some(now + 3600),
        ..NewCertificate::of(&[&doubles.settings().apns.topic])
    };
    by(doubles, &wanted)
}

/// By one that was made just now.
fn by_a_new_one(doubles: &Handle) -> String {
    by(
        doubles,
        &NewCertificate::of(&[&doubles.settings().apns.topic]),
    )
}

/// By one for Apple's other environment.
fn by_one_for_the_sandbox(doubles: &Handle) -> String {
    let wanted = NewCertificate {
        sandbox: true,
        ..NewCertificate::of(&[&doubles.settings().apns.topic])
    };
    by(doubles, &wanted)
}

/// By one of another app.
fn by_one_of_another_app(doubles: &Handle) -> String {
    by(doubles, &NewCertificate::of(&["com.example.other"]))
}

fn by(doubles: &Handle, wanted: &NewCertificate) -> String {
    let issued = doubles.issue_certificate(wanted).unwrap();
    let usual = &doubles.settings().apns.certificate_file;
    let (usual, issued) = (usual.to_str().unwrap(), issued.file);
    by_certificate(doubles).replace(usual, issued.to_str().unwrap())
}

/// By what the Partner Center handed out.
fn by_older_login(doubles: &Handle) -> String {
    let text = doubles.settings().app_toml();
    let entra = [
        "tenant_id",
        "client_id",
        "client_secret_file",
        "token_endpoint",
    ];
    instead(&text, "wns", &entra)
}

async fn hub(services: fn(&Handle) -> String) -> TestHub {
    let tell = Tell {
        services,
        ..Tell::default()
    };
    let clock = Clock::manual(Clock::system().now());
    TestHub::told(tempfile::tempdir().unwrap(), clock, tell).await
}

/// Waits until the delivery to the endpoint says this reason, and gives it.
async fn told(hub: &TestHub, posted: &Value, device: &TestDevice, reason: &str) -> Value {
    let id = posted["id"].as_str().unwrap();
    let path = format!("/v1/users/ada/notifications/{id}/deliveries");
    eventually(reason, || async {
        let report = hub.app().get(&path).await.expect(200);
        let all = report["value"].as_array().unwrap().clone();
        let mut own = all
            .into_iter()
            .filter(|it| it["endpointId"] == *device.endpoint);
        own.find(|it| it["reason"] == reason)
    })
    .await
}

/// Posts, and sees the tap come and the pull bring what was posted.
async fn post_tap_pull(hub: &TestHub, device: &mut TestDevice) {
    let posted = hub.post("ada", "Lunch?").await;
    let handed = device.next_push("the tap").await;
    assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
    device.pull().await;
    let id = posted["id"].as_str().unwrap();
    assert!(device.held.contains_key(id));
    let path = format!("/v1/users/ada/notifications/{id}/deliveries");
    eventually("the fetch is known", || async {
        let report = hub.app().get(&path).await.expect(200);
        (report["value"][0]["status"] == "fetched").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_carries_a_post_to_the_pull() {
    let mut hub = hub(by_certificate).await;
    let mut phone = hub.device("ada", Service::Apns).await;
    post_tap_pull(&hub, &mut phone).await;
    hub.restart().await;
    phone.client = phone.client.to(hub.running().addr);
    post_tap_pull(&hub, &mut phone).await;
    let arrivals = hub.doubles().arrivals(0);
    let pushes = arrivals.iter().filter(|it| it.service == Service::Apns);
    for push in pushes {
        let header = |name: &str| push.headers.iter().find(|(known, _)| known == name);
        assert_eq!(header("authorization"), None, "{push:#?}");
        let topic = &hub.doubles().settings().apns.topic;
        assert_eq!(header("apns-topic").map(|(_, it)| it), Some(topic));
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_apple_refuses_stops_its_lane_alone_until_there_is_another() {
    for (services, reason) in [
        (
            by_one_for_the_sandbox as fn(&Handle) -> String,
            "BadCertificateEnvironment",
        ),
        (by_one_of_another_app, "TopicDisallowed"),
    ] {
        let mut hub = hub(services).await;
        let mut phone = hub.device("ada", Service::Apns).await;
        let mut other = hub.device("ada", Service::Fcm).await;
        let posted = hub.post("ada", "Lunch?").await;
        other.next_push("the tap by another service").await;
        let stopped = told(&hub, &posted, &phone, "serviceStopped").await;
        assert_eq!(stopped["pushService"]["reason"], reason, "{stopped}");
        let explained = stopped["explanation"].as_str().unwrap();
        assert!(explained.contains(reason), "{explained}");
        hub.reload(by_a_new_one).await;
        let handed = phone.next_push("the tap by a new certificate").await;
        assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
        hub.finish().await;
    }
}

/// Waits until all pushes to the service wait for the operator, though one was taken a moment ago.
async fn stands_still(hub: &TestHub, (posted, phone): (&Value, &TestDevice)) {
    eventually("the lane stands still", async || {
        let line = told(hub, posted, phone, "serviceStopped").await;
        let explained = line["explanation"].as_str()?;
        let expected = "pushes to this service stand still until the operator acts";
        let ready = hub.client().get("/readyz").await.expect(200);
        (explained.contains(expected) && ready["status"] == "degraded").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_revoked_or_ends_is_named() {
    let mut hub = hub(by_one_for_an_hour).await;
    let mut phone = hub.device("ada", Service::Apns).await;
    post_tap_pull(&hub, &mut phone).await;
    hub.doubles().revoke_certificates().unwrap();
    let posted = hub.post("ada", "Dinner?").await;
    let revoked = told(&hub, &posted, &phone, "serviceStopped").await;
    assert_eq!(revoked["pushService"]["reason"], "BadCertificate");
    stands_still(&hub, (&posted, &phone)).await;
    hub.reload(by_one_for_an_hour).await;
    phone.next_push("the tap by a new certificate").await;
    phone.pull().await;
    hub.settled().await;
    hub.advance(Duration::from_secs(3570));
    post_tap_pull(&hub, &mut phone).await;
    hub.settled().await;
    hub.advance(Duration::from_secs(55));
    let posted = hub.post("ada", "Tea?").await;
    let ended = told(&hub, &posted, &phone, "serviceStopped").await;
    let explained = ended["explanation"].as_str().unwrap();
    assert!(explained.contains("certificate_file ended at"), "{ended}");
    stands_still(&hub, (&posted, &phone)).await;
    hub.reload(by_a_new_one).await;
    phone.next_push("the tap by one that has not ended").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_login_carries_a_post_to_the_pull() {
    let hub = hub(by_older_login).await;
    let wanted = NewDevice::of_partner_center();
    let mut desk = TestDevice::register_as(&hub, "ada", wanted).await;
    post_tap_pull(&hub, &mut desk).await;
    hub.doubles().revoke_access_tokens();
    post_tap_pull(&hub, &mut desk).await;
    let arrivals = hub.doubles().arrivals(0);
    let asked: Vec<_> = arrivals
        .iter()
        .filter(|it| it.service == Service::Wns && it.device.is_none())
        .map(|it| (it.path.as_str(), it.status))
        .collect();
    assert_eq!(asked.first(), Some(&("/accesstoken.srf", Some(200))));
    assert!(asked.iter().all(|(path, _)| !path.contains("oauth2")));
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_the_other_kind_stops_the_lane_alone_until_it_is_the_right_one() {
    let mut hub = hub(by_older_login).await;
    let mut desk = hub.device("ada", Service::Wns).await;
    let mut other = hub.device("ada", Service::Fcm).await;
    let posted = hub.post("ada", "Lunch?").await;
    other.next_push("the tap by another service").await;
    let stopped = told(&hub, &posted, &desk, "serviceStopped").await;
    assert_eq!(stopped["pushService"]["status"], 403, "{stopped}");
    hub.reload(|doubles| doubles.settings().app_toml()).await;
    let handed = desk.next_push("the tap by Entra's login").await;
    assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
    hub.finish().await;
}
