//! Scripted faults, in the dress of each service.

use serde_json::json;

use super::super::{At, Fate, FaultKind, FaultSpec, NewDevice, Service};
use super::drafts::*;
use super::support::*;

/// A good push to each service, over the protocol that it speaks.
pub(super) async fn pushes(rig: &Rig) -> [(Service, Draft); 4] {
    let server = vapid_pair();
    let browser = rig
        .handle()
        .add_device(NewDevice::browser(&server.1))
        .unwrap();
    [
        (Service::Apns, apns_push(rig, &rig.device(Service::Apns))),
        (Service::Fcm, fcm_push(rig, &rig.device(Service::Fcm)).await),
        (Service::WebPush, web_push(rig, &browser, &server, "hello")),
        (Service::Wns, wns_push(rig, &rig.device(Service::Wns)).await),
    ]
}

pub(super) async fn send(rig: &Rig, service: Service, draft: &Draft) -> Reply {
    if service == Service::Wns {
        rig.send1(draft).await.unwrap()
    } else {
        rig.send2(draft).await
    }
}

/// What each service says to a gone channel, too many, an ill service, and a bad credential: status and a piece of the body.
fn dress(service: Service) -> [(u16, &'static str); 4] {
    match service {
        Service::Apns => [
            (410, "Unregistered"),
            (429, "TooManyRequests"),
            (500, "InternalServerError"),
            (403, "InvalidProviderToken"),
        ],
        Service::Fcm => [
            (404, "UNREGISTERED"),
            (429, "QUOTA_EXCEEDED"),
            (500, "INTERNAL"),
            (401, "UNAUTHENTICATED"),
        ],
        Service::WebPush => [
            (410, "106"),
            (429, "Too many requests"),
            (500, "999"),
            (401, "109"),
        ],
        Service::Wns => [(410, ""), (406, ""), (500, ""), (401, "")],
    }
}

#[tokio::test]
async fn strike_in_the_dress_of_the_service_and_in_order() {
    use FaultKind::{CredentialRefused, Gone, ServerError, Throttled};
    let rig = Rig::start().await;
    let kinds = [Gone, Throttled, ServerError, CredentialRefused];
    for (service, draft) in pushes(&rig).await {
        for kind in kinds {
            let spec = FaultSpec::once(service, kind);
            rig.handle().script(FaultSpec {
                retry_after_seconds: Some(7),
                ..spec
            });
        }
        for (kind, (status, text)) in kinds.into_iter().zip(dress(service)) {
            let reply = send(&rig, service, &draft).await;
            assert_eq!(reply.status, status, "{service:?} {kind:?} {reply:?}");
            assert!(reply.body.contains(text), "{service:?} {kind:?} {reply:?}");
            assert_eq!(reply.header("retry-after"), "7", "{service:?} {kind:?}");
        }
        assert!(
            matches!(send(&rig, service, &draft).await.status, 200 | 201),
            "{service:?}"
        );
    }
    assert_eq!(rig.handle().faults(), []);
}

#[tokio::test]
async fn silence_lasts_until_it_is_cleared_and_a_cut_ends_the_connection() {
    let rig = Rig::start().await;
    for (service, draft) in pushes(&rig).await {
        let fault = rig
            .handle()
            .script(FaultSpec::once(service, FaultKind::Silence));
        let place = rig.handle().place();
        let answered = async {
            let reply = send(&rig, service, &draft).await;
            assert!(matches!(reply.status, 200 | 201), "{service:?} {reply:?}");
        };
        let cleared = async {
            rig.handle()
                .await_arrival(place, SOON, |arrival| {
                    arrival.fault == Some(FaultKind::Silence)
                })
                .await
                .unwrap();
            assert!(rig.handle().clear_fault(fault), "{service:?}");
        };
        tokio::join!(answered, cleared);
        let late = rig
            .handle()
            .await_arrival(place, SOON, |arrival| {
                arrival.fate == Some(Fate::HandedOver)
            })
            .await;
        assert!(late.is_some(), "{service:?}");
        rig.handle()
            .script(FaultSpec::once(service, FaultKind::Cut));
        let broken = match service {
            Service::Wns => rig.send1(&draft).await.is_err(),
            _ => send_on(&mut rig.http2(&draft).await, &draft).await.is_err(),
        };
        assert!(broken, "{service:?}");
    }
}

#[tokio::test]
async fn strike_one_device_or_the_token_endpoint() {
    let rig = Rig::start().await;
    let (one, two) = (rig.device(Service::Fcm), rig.device(Service::Fcm));
    let to_one = fcm_push(&rig, &one).await;
    let to_two = fcm_push(&rig, &two).await;
    rig.handle().script(FaultSpec {
        device: Some(one.id),
        ..FaultSpec::always(Service::Fcm, FaultKind::Gone)
    });
    assert_eq!(rig.send2(&to_two).await.status, 200);
    assert_eq!(
        (
            rig.send2(&to_one).await.status,
            rig.send2(&to_one).await.status
        ),
        (404, 404)
    );
    rig.handle().clear_faults();
    assert_eq!(rig.send2(&to_one).await.status, 200);
    rig.handle().script(FaultSpec {
        at: At::Token,
        ..FaultSpec::once(Service::Fcm, FaultKind::CredentialRefused)
    });
    assert_eq!(rig.send2(&to_one).await.status, 200);
    let request = fcm_token_request(&rig, &assertion_claims(&rig));
    let refused = rig.send2(&request).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (400, &json!("invalid_grant"))
    );
    assert_eq!(rig.send2(&request).await.status, 200);
    rig.handle().revoke_access_tokens();
    assert_eq!(rig.send2(&to_one).await.status, 401);
}

#[tokio::test]
async fn hide_no_mistake() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Apns);
    rig.handle()
        .script(FaultSpec::always(Service::Apns, FaultKind::ServerError));
    let bad = apns_push(&rig, &device).with("apns-priority", "7");
    assert_eq!(rig.send2(&bad).await.status, 400);
}

#[tokio::test]
async fn are_not_used_up_by_what_would_not_have_been_taken() {
    let rig = Rig::start().await;
    let good = apns_push(&rig, &rig.device(Service::Apns));
    let sandbox = rig.handle().add_device(NewDevice::of_sandbox()).unwrap();
    let gone = rig.device(Service::Apns);
    rig.handle().remove_device(&gone.id).unwrap();
    let at = |token: &str| {
        let endpoint = &rig.settings().apns.endpoint;
        good.clone().uri(format!("{endpoint}/3/device/{token}"))
    };
    let fault = FaultSpec::once(Service::Apns, FaultKind::ServerError);
    rig.handle().script(fault);
    for (draft, status) in [
        (at(&"ab".repeat(32)), 400),
        (at("xyz"), 400),
        (at(""), 400),
        (apns_push(&rig, &sandbox), 400),
        (apns_push(&rig, &gone), 410),
    ] {
        assert_eq!(rig.send2(&draft).await.status, status, "{draft:?}");
        assert_eq!(rig.handle().faults().len(), 1, "{draft:?}");
    }
    assert_eq!(rig.send2(&good).await.status, 500);
    assert_eq!(rig.send2(&good).await.status, 200);
}
