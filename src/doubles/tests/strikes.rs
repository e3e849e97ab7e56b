//! Every fault that is not one service's own, at every door that knows it: it strikes once, is written down, and then all is well.

use std::time::Duration;

use super::super::{Arrival, At, FaultKind, FaultSpec, Service};
use super::drafts::*;
use super::faults::pushes;
use super::support::*;

/// Long enough to see that nothing comes.
const A_WHILE: Duration = Duration::from_millis(150);

fn shared(service: Service, at: At) -> Vec<FaultKind> {
    let mut known = FaultKind::known(service, at);
    known.retain(|kind| !matches!(kind, FaultKind::Says(_)));
    known
}

/// What the sender sees: a status, that it broke, or nothing within the time.
async fn seen(
    rig: &Rig,
    (service, draft): (Service, &Draft),
    within: Duration,
) -> Option<Result<u16, String>> {
    let attempt = tokio::time::timeout(within, attempt(rig, service, draft)).await;
    let answer = attempt.ok()?;
    Some(
        answer
            .map(|reply| reply.status)
            .map_err(|error| error.to_string()),
    )
}

fn is_as_told(kind: FaultKind, seen: Option<Result<u16, String>>) -> bool {
    use FaultKind as Kind;
    match kind {
        Kind::Silence | Kind::HalfOpen | Kind::HandshakeSilence | Kind::Endless | Kind::Slow => {
            seen.is_none()
        }
        Kind::Gone | Kind::Throttled | Kind::CredentialRefused => {
            matches!(seen, Some(Ok(400..=499)))
        }
        Kind::ServerError | Kind::HtmlError | Kind::GarbageBody | Kind::Oversized => {
            matches!(seen, Some(Ok(500..=599)))
        }
        Kind::Redirect => seen == Some(Ok(301)),
        Kind::GoAway | Kind::StreamLimit | Kind::ShortLife | Kind::HandedOverTwice => {
            matches!(seen, Some(Ok(200 | 201)))
        }
        _ => matches!(seen, Some(Err(_))),
    }
}

async fn strikes(rig: &Rig, (service, at): (Service, At), draft: &Draft) {
    for kind in shared(service, at) {
        let place = rig.handle().place();
        let faulted = rig.handle().counters(service).faulted;
        rig.handle().script(FaultSpec {
            at,
            ..FaultSpec::once(service, kind)
        });
        let within = if kind.holds() { A_WHILE } else { SOON };
        let seen = seen(rig, (service, draft), within).await;
        let told = format!("{service:?} {at:?} {}: {seen:?}", kind.name());
        assert!(is_as_told(kind, seen), "{told}");
        assert_eq!(
            rig.handle().counters(service).faulted,
            faulted + 1,
            "{told}"
        );
        let struck = |arrival: &Arrival| arrival.fault == Some(kind);
        let arrivals = rig.handle().arrivals(place);
        let is_written_down = arrivals.iter().any(|arrival| struck(arrival));
        let at_handshake =
            kind.name().starts_with("handshake") || kind.name().ends_with("Certificate");
        assert_ne!(is_written_down, at_handshake, "{told}");
        rig.handle().clear_faults();
        let after = attempt(rig, service, draft).await.unwrap();
        assert!(matches!(after.status, 200 | 201), "{told}, then {after:?}");
    }
}

#[tokio::test]
async fn each_fault_of_a_push_strikes_once_and_then_all_is_well() {
    let rig = Rig::start().await;
    for (service, draft) in pushes(&rig).await {
        strikes(&rig, (service, At::Push), &draft).await;
    }
}

#[tokio::test]
async fn each_fault_of_a_token_endpoint_strikes_once_and_then_all_is_well() {
    let rig = Rig::start().await;
    let fcm = fcm_token_request(&rig, &assertion_claims(&rig));
    strikes(&rig, (Service::Fcm, At::Token), &fcm).await;
    let wns = wns_token_request(&rig);
    strikes(&rig, (Service::Wns, At::Token), &wns).await;
    let older = wns_older_token_request(&rig);
    strikes(&rig, (Service::Wns, At::Token), &older).await;
}
