//! HTTP/2 connections that end, shrink or refuse under a burst: no push is lost, and none is sent twice.

use std::time::Duration;

use beckon::{
    clock::Clock,
    doubles::{At, FaultKind, FaultSpec, Service},
};

use crate::support::{TestHub, device::TestDevice, eventually};

const PEOPLE: usize = 30;

/// Posts to many people at once while `faults` strike, and sees each tapped once.
async fn each_is_tapped_once<const N: usize>(service: Service, faults: [FaultSpec; N]) {
    let hub = TestHub::with(Clock::system(), |config| {
        config.delivery.retry_base = Duration::from_millis(20);
    })
    .await;
    let mut people: Vec<(String, TestDevice)> = Vec::new();
    for nth in 0..PEOPLE {
        let user = format!("person-{nth}");
        let device = hub.device(&user, service).await;
        people.push((user, device));
    }
    // The connection is there, and the credential taken.
    hub.post("person-0", "First").await;
    people[0].1.next_push("the first tap").await;
    let kind = faults.each_ref().map(|fault| fault.kind);
    for fault in faults {
        hub.doubles().script(fault);
    }
    let posts = people[1..].iter().map(|(user, _)| hub.post(user, "Lunch?"));
    futures_util::future::join_all(posts).await;
    for (user, device) in &mut people[1..] {
        device.next_push(&format!("{user} under {kind:?}")).await;
    }
    let figures = eventually("all answers are in", || async {
        let answer = hub.client().get("/metrics").await;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let accepted = format!("outcome=\"accepted\"}} {PEOPLE}\n");
        text.contains(&accepted).then_some(text)
    })
    .await;
    for (user, device) in &people {
        assert_eq!(
            device.unseen(),
            0,
            "{service:?} {kind:?}: {user} was tapped twice"
        );
    }
    assert!(
        !figures.contains("outcome=\"retry\""),
        "{service:?} {kind:?}: {figures}"
    );
    hub.finish().await;
}

const HTTP2: [Service; 3] = [Service::Apns, Service::Fcm, Service::WebPush];

#[tokio::test(flavor = "multi_thread")]
async fn refused_streams_are_sent_again_at_once() {
    for service in HTTP2 {
        let fault = FaultSpec::once(service, FaultKind::RefusedStream);
        each_is_tapped_once(service, [fault]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_goaway_counts_out_goes_by_another_connection() {
    for service in HTTP2 {
        let fault = FaultSpec::once(service, FaultKind::GoAwayUnprocessed);
        each_is_tapped_once(service, [fault]).await;
    }
}

/// Pushes that were signed for before and after meet on the next connection, and APNs counts how many tokens come by one.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_as_connections_end_is_renewed_without_a_wait() {
    let expired = FaultKind::named(Service::Apns, At::Push, "expiredProviderToken").unwrap();
    for kinds in [
        [expired, FaultKind::GoAwayUnprocessed],
        [FaultKind::GoAwayUnprocessed, expired],
    ] {
        let faults = kinds.map(|kind| FaultSpec::once(Service::Apns, kind));
        each_is_tapped_once(Service::Apns, faults).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_streams_that_shrinks_is_kept() {
    for service in HTTP2 {
        let fault = FaultSpec {
            streams: Some(2),
            ..FaultSpec::once(service, FaultKind::StreamLimit)
        };
        each_is_tapped_once(service, [fault]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_read_anew_and_are_the_same_cost_no_connection_and_no_credential() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut devices = Vec::new();
    for service in Service::ALL {
        devices.push(hub.device("ada", service).await);
    }
    let mut counted = Vec::new();
    for round in 0..3 {
        hub.post("ada", &format!("round {round}")).await;
        for device in &mut devices {
            device.next_push(&format!("round {round}")).await;
            device.pull().await;
        }
        counted.push(Service::ALL.map(|service| {
            let it = hub.doubles().counters(service);
            (it.connections, it.token_requests, it.distinct_credentials)
        }));
        hub.clock.advance(Duration::from_secs(2));
        hub.reload(|doubles| doubles.settings().app_toml()).await;
    }
    assert_eq!(counted[0], counted[1]);
    assert_eq!(counted[0], counted[2]);
    hub.finish().await;
}
