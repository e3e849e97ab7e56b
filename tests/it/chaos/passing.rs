//! Faults of a service's network that come and go, one by one: a certificate that has ended, is for another name or from nobody
//! known, a name that moves to another address, an answer that is lost. Each time the other services are not delayed, the
//! delivery says what is wrong, and the tap comes when it is over.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use beckon::{
    clock::Clock,
    doubles::{FaultKind, FaultSpec, Handle, NewDevice, Push, Service},
    push::Resolver,
};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::support::{TestDevice, TestHub, device::beckon_of, eventually, hub::Tell};

/// No service is waited for longer than this because of another; a connection alone may take half of it.
const NOT_DELAYED: Duration = Duration::from_secs(10);

/// Ada's devices, one of each service, each tapped once, so that all connections are there.
async fn devices(hub: &TestHub) -> Vec<TestDevice> {
    let mut devices = Vec::new();
    for service in Service::ALL {
        devices.push(hub.device("ada", service).await);
    }
    breakfast(hub, &mut devices).await;
    devices
}

/// The first tap of all of them, and their fetch, which is known a moment after the device has what it asked for.
async fn breakfast(hub: &TestHub, devices: &mut [TestDevice]) {
    let posted = hub.post("ada", "Breakfast?").await;
    for device in devices.iter_mut() {
        device.next_push("the first tap").await;
        device.pull().await;
        eventually("the fetch is known", || async {
            (delivery(hub, &posted, device).await["status"] == "fetched").then_some(())
        })
        .await;
    }
}

/// Posts; the taps of all services but these come as if nothing were.
async fn post_to_the_others(hub: &TestHub, devices: &mut [TestDevice], ill: &[Service]) -> Value {
    // So long after the last tap nothing is gathered into one with it.
    hub.advance(Duration::from_secs(10));
    let began = Instant::now();
    let posted = hub.post("ada", "Lunch?").await;
    for device in devices.iter_mut().filter(|it| !ill.contains(&it.service)) {
        let handed = device.next_push("the tap, though others are ill").await;
        assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
    }
    let took = began.elapsed();
    assert!(
        took < NOT_DELAYED,
        "the others waited for {ill:?}: {took:?}"
    );
    posted
}

async fn delivery(hub: &TestHub, posted: &Value, device: &TestDevice) -> Value {
    let id = posted["id"].as_str().unwrap();
    let path = format!("/v1/users/ada/notifications/{id}/deliveries");
    let report = hub.app().get(&path).await.expect(200);
    let all = report["value"].as_array().unwrap();
    let own = all.iter().find(|it| it["endpointId"] == *device.endpoint);
    own.unwrap_or_else(|| panic!("{report}")).clone()
}

/// Waits, while the time goes on, until the delivery waits for the next attempt and says why with these words.
async fn says(hub: &TestHub, posted: &Value, device: &TestDevice, words: &str) -> Value {
    let service = device.service;
    eventually(&format!("{service:?} says {words:?}"), || async {
        hub.advance(Duration::from_secs(1));
        let it = delivery(hub, posted, device).await;
        let explained = it["explanation"].as_str().unwrap();
        let waits = it["status"] == "pending" && it["reason"] == "retry";
        (waits && explained.contains(words)).then_some(it)
    })
    .await
}

/// Waits, while the time goes on, until the device is tapped, and the delivery says so.
async fn recovers(hub: &TestHub, posted: &Value, device: &mut TestDevice) {
    let service = device.service;
    eventually(&format!("{service:?} is back"), || async {
        hub.advance(Duration::from_secs(5));
        (device.unseen() > 0).then_some(())
    })
    .await;
    let handed = device.next_push("the tap that was owed").await;
    assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
    eventually(&format!("{service:?} is told as tapped"), || async {
        (delivery(hub, posted, device).await["status"] == "tapped").then_some(())
    })
    .await;
}

async fn certificate_passes(service: Service, kind: FaultKind, words: &str) {
    let hub = TestHub::at_a_standstill().await;
    let mut devices = devices(&hub).await;
    // The connection that is there ends; all new ones meet the certificate.
    hub.doubles()
        .script(FaultSpec::once(service, FaultKind::Cut));
    hub.doubles().script(FaultSpec::always(service, kind));
    let posted = post_to_the_others(&hub, &mut devices, &[service]).await;
    let ill = devices.iter_mut().find(|it| it.service == service).unwrap();
    says(&hub, &posted, ill, words).await;
    assert_eq!(ill.unseen(), 0, "{service:?} {kind:?}");
    hub.doubles().clear_faults();
    recovers(&hub, &posted, ill).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_nobody_known_is_named_and_passes() {
    for service in Service::ALL {
        certificate_passes(service, FaultKind::WrongCertificate, "UnknownIssuer").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_ended_is_named_and_passes() {
    for service in Service::ALL {
        certificate_passes(
            service,
            FaultKind::ExpiredCertificate,
            "certificate expired",
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_named_and_passes() {
    for service in Service::ALL {
        let words = "certificate not valid for name";
        certificate_passes(service, FaultKind::MisnamedCertificate, words).await;
    }
}

/// What a person sees on a device: a push replaces the one of its collapse id, else the app does by the notification's id.
fn screen(pushes: &[Push]) -> BTreeSet<String> {
    let place = |push: &Push| match &push.collapse {
        Some(collapse) => collapse.clone(),
        None => beckon_of(push)["n"].to_string(),
    };
    pushes.iter().map(place).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_came_twice_is_seen_once() {
    for service in Service::ALL {
        let hub = TestHub::at_a_standstill().await;
        let mut devices = devices(&hub).await;
        let lost = FaultSpec {
            delivered: true,
            ..FaultSpec::once(service, FaultKind::Cut)
        };
        hub.doubles().script(lost);
        let posted = post_to_the_others(&hub, &mut devices, &[service]).await;
        let ill = devices.iter_mut().find(|it| it.service == service).unwrap();
        let first = ill.next_push("the push whose answer is lost").await;
        let unknown = eventually("the lost answer is told", || async {
            let it = delivery(&hub, &posted, ill).await;
            (it["reason"] == "retry").then_some(it)
        })
        .await;
        assert!(unknown["pushService"]["status"].is_null(), "{unknown}");
        let explained = unknown["explanation"].as_str().unwrap();
        let unknown = "nobody knows whether it arrived";
        assert!(explained.contains(unknown), "{explained}");
        let second = eventually("the second push", || async {
            // Not while a push is on its way: its time would be up.
            hub.settled().await;
            let handed = hub.doubles().handed_over(ill.seen, &ill.device.id);
            if handed.is_empty() {
                hub.advance(Duration::from_secs(1));
            }
            handed.first().cloned()
        })
        .await;
        let both = [first.push.clone(), second.push.clone()];
        for push in &both {
            assert_eq!(beckon_of(push)["n"], posted["id"], "{push:?}");
            let has_collapse_id = matches!(service, Service::Apns | Service::WebPush);
            assert_eq!(push.collapse.is_some(), has_collapse_id, "{push:?}");
        }
        assert_eq!(screen(&both).len(), 1, "{service:?}: {both:#?}");
        eventually("the second answer is told", || async {
            (delivery(&hub, &posted, ill).await["status"] == "tapped").then_some(())
        })
        .await;
        assert_eq!(delivery(&hub, &posted, ill).await["attempts"], 2);
        hub.finish().await;
    }
}

/// Where the name of the services that moves leads.
static ADDRESS: Mutex<IpAddr> = Mutex::new(OLD);
/// Their address before, where relays take connections for the doubles, and after, where the doubles are.
const OLD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const NEW: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The services that are reached by the name.
const NAMED: [Service; 3] = [Service::Apns, Service::Fcm, Service::Wns];

/// The doubles' address, by name but for Web Push, whose senders sign for the address that it has.
fn by_name(doubles: &Handle) -> String {
    let web_push = &doubles.settings().web_push.host;
    let text = doubles.settings().app_toml();
    let named = named(text.replace(web_push, "WEB PUSH"));
    named.replace("WEB PUSH", web_push)
}

fn named(text: String) -> String {
    text.replace("127.0.0.1", "localhost")
}

/// The services' ports at their old address.
async fn relays(doubles: &Handle) -> JoinSet<()> {
    let settings = doubles.settings();
    let hosts = [
        &settings.apns.endpoint,
        &settings.fcm.endpoint,
        &settings.wns.host,
    ];
    let mut relays = JoinSet::new();
    for host in hosts {
        let port: u16 = host.rsplit(':').next().unwrap().parse().unwrap();
        let listener = TcpListener::bind((OLD, port)).await.unwrap();
        relays.spawn(relay(listener, port));
    }
    relays
}

/// Passes connections on; when it ends, they do.
async fn relay(listener: TcpListener, port: u16) {
    let mut passing = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        passing.spawn(async move {
            let mut far = TcpStream::connect((NEW, port)).await.unwrap();
            tokio::io::copy_bidirectional(&mut near, &mut far).await
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_moves_is_followed() {
    let tell = Tell {
        services: by_name,
        resolver: || Resolver::Function(Arc::new(|_| vec![*ADDRESS.lock().unwrap()])),
        ..Tell::default()
    };
    let clock = Clock::manual(Clock::system().now());
    let hub = TestHub::told(tempfile::tempdir().unwrap(), clock, tell).await;
    let mut relays = relays(hub.doubles()).await;
    let mut devices = vec![hub.device("ada", Service::WebPush).await];
    for service in NAMED {
        let device = hub.doubles().add_device(NewDevice::of(service)).unwrap();
        let it = (service, device, named as fn(String) -> String);
        devices.push(TestDevice::register_at(&hub, "ada", it).await);
    }
    breakfast(&hub, &mut devices).await;
    // The services leave; the name still leads to where they were.
    relays.shutdown().await;
    let posted = post_to_the_others(&hub, &mut devices, &NAMED).await;
    for device in devices.iter().filter(|it| NAMED.contains(&it.service)) {
        says(&hub, &posted, device, "Connection refused").await;
        assert_eq!(device.unseen(), 0, "{:?}", device.service);
    }
    *ADDRESS.lock().unwrap() = NEW;
    for device in devices.iter_mut().filter(|it| NAMED.contains(&it.service)) {
        recovers(&hub, &posted, device).await;
    }
    hub.finish().await;
}
