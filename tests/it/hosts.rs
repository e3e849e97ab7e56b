//! Which hosts a subscription may name where each user chooses a push service (UnifiedPush).

use std::{net::IpAddr, sync::Arc};

use beckon::{
    clock::Clock,
    config::{Config, apps::Hosts},
    doubles::{FaultKind, FaultSpec, NewDevice, Service},
    push::Resolver,
};
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestDevice, TestHub, eventually, hub::Tell};

fn public(config: &mut Config) {
    for app in &mut config.apps {
        let web_push = Arc::make_mut(app).web_push.as_mut().unwrap();
        Arc::get_mut(web_push).unwrap().hosts = Hosts::Public;
    }
}

/// A name that leads elsewhere with every question, and never to the public internet alone.
fn nowhere_good(_: &str) -> Vec<IpAddr> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let answers: [&[&str]; 5] = [
        &["127.0.0.1"],
        &["2606:4700::1", "127.0.0.1"],
        &["::ffff:10.0.0.1"],
        &["169.254.169.254"],
        &["fd00::1"],
    ];
    let answer = answers[ASKED.fetch_add(1, Ordering::SeqCst) % answers.len()];
    answer
        .iter()
        .map(|address| address.parse().unwrap())
        .collect()
}

/// The channel of a browser, at another address.
fn at(hub: &TestHub, address: &str) -> Value {
    let device = hub
        .doubles()
        .add_device(NewDevice::of(Service::WebPush))
        .unwrap();
    let mut channel = serde_json::to_value(&device.channel).unwrap();
    channel["endpoint"] = address.into();
    channel
}

async fn register(client: &Client, channel: Value) -> Answer {
    client
        .put("/v1/me/endpoints/tab", json!({"channel": channel}))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn any_full_name_at_the_usual_port_may_be_named_where_the_operator_lets_it() {
    let hub = TestHub::with(Clock::system(), public).await;
    let ada = hub.person("ada", Some("tab")).await;
    for good in [
        "https://up.example.net/x",
        "https://up.example.net:443/x",
        "https://a.b.example/?t=1",
    ] {
        let answer = register(&ada, at(&hub, good)).await;
        assert!(answer.status.is_success(), "{good}: {answer:?}");
    }
    for bad in [
        "http://up.example.net/x",
        "https://up.example.net:8443/x",
        "https://ada@up.example.net/x",
        "https://:@up.example.net/x",
        "https://@up.example.net/x",
        "https://up.example.net./x",
        "https://up.example.net../x",
        "https://.up.example.net/x",
        "https://up..example.net/x",
        &format!("https://{}.example.net/x", "a".repeat(64)),
        "https://up.example.net/x#y",
        "https://93.184.216.34/x",
        "https://[2606:4700::1]/x",
        "https://127.0.0.1/x",
        "https://0x7f000001/x",
        "https://localhost/x",
        "https://intranet./x",
    ] {
        let faults = register(&ada, at(&hub, bad)).await.faults();
        assert_eq!(faults, ["channel.endpoint"], "{bad}");
    }
    hub.finish().await;
    let hub = TestHub::start().await;
    let ada = hub.person("ada", Some("tab")).await;
    let faults = register(&ada, at(&hub, "https://up.example.net/x"))
        .await
        .faults();
    assert_eq!(faults, ["channel.endpoint"], "nobody lets it");
    hub.finish().await;
}

/// Whoever is honest is tapped beside a hostile one, one time after another.
async fn is_tapped_meanwhile(hub: &TestHub, eves: &mut TestDevice) {
    for _ in 0..5 {
        hub.post("eve", "Lunch?").await;
        eves.next_push("the tap of one beside it").await;
        eves.pull().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_into_the_network_is_not_called() {
    let tell = Tell {
        change: |config| {
            public(config);
            config.delivery.retry_base = std::time::Duration::from_millis(20);
            config.delivery.retry_max = std::time::Duration::from_millis(40);
        },
        resolver: || Resolver::Function(Arc::new(nowhere_good)),
        ..Tell::default()
    };
    let hub = TestHub::told(tempfile::tempdir().unwrap(), Clock::system(), tell).await;
    let ada = hub.person("ada", Some("tab")).await;
    register(&ada, at(&hub, "https://up.example.net/x"))
        .await
        .expect(201);
    let mut honest = hub.device("eve", Service::Fcm).await;
    let posted = hub.post("ada", "Lunch?").await;
    is_tapped_meanwhile(&hub, &mut honest).await;
    let path = format!(
        "/v1/users/ada/notifications/{}/deliveries",
        posted["id"].as_str().unwrap()
    );
    eventually("it was tried with one answer after another", || async {
        let line = hub.app().get(&path).await.expect(200)["value"][0].clone();
        let said = line["pushService"]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let refused = said.contains("leads to an address that is not public");
        assert!(said.is_empty() || refused, "{line}");
        (line["attempts"].as_u64() >= Some(3) && refused).then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_nowhere_and_keeps_nobody_waiting() {
    let inside = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hub = TestHub::start().await;
    hub.device("ada", Service::WebPush).await;
    let mut honest = hub.device("eve", Service::Fcm).await;
    let location = format!("https://{}/latest/meta-data", inside.local_addr().unwrap());
    hub.doubles().script(FaultSpec {
        location: Some(location),
        ..FaultSpec::always(Service::WebPush, FaultKind::Redirect)
    });
    let posted = hub.post("ada", "Lunch?").await;
    is_tapped_meanwhile(&hub, &mut honest).await;
    let path = format!(
        "/v1/users/ada/notifications/{}/deliveries",
        posted["id"].as_str().unwrap()
    );
    let line = eventually("the redirect is told", || async {
        let line = hub.app().get(&path).await.expect(200)["value"][0].clone();
        (line["pushService"]["status"] == 301).then_some(line)
    })
    .await;
    assert_ne!(line["status"], "tapped", "{line}");
    let called = tokio::time::timeout(std::time::Duration::ZERO, inside.accept()).await;
    assert!(called.is_err(), "nobody goes where it leads");
    hub.finish().await;
}
