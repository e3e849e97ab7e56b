//! Which faults come, and how.

use beckon::doubles::{At, FaultKind, FaultSpec, Service};

use super::Storm;

/// What hits pushes at any service. None of it says that a channel is dead, or a credential or the push wrong.
const SHARED: [FaultKind; 13] = [
    FaultKind::Cut,
    FaultKind::ConnectionReset,
    FaultKind::HalfOpen,
    FaultKind::Garbage,
    FaultKind::CutMidAnswer,
    FaultKind::Silence,
    FaultKind::Slow,
    FaultKind::ServerError,
    FaultKind::Throttled,
    FaultKind::HtmlError,
    FaultKind::GarbageBody,
    FaultKind::Oversized,
    FaultKind::Endless,
];

/// What HTTP/2 adds.
const STREAMS: [FaultKind; 6] = [
    FaultKind::RefusedStream,
    FaultKind::Reset,
    FaultKind::ResetMidAnswer,
    FaultKind::GoAway,
    FaultKind::GoAwayUnprocessed,
    FaultKind::StreamLimit,
];

/// What hits new connections.
const HANDSHAKES: [FaultKind; 6] = [
    FaultKind::WrongCertificate,
    FaultKind::ExpiredCertificate,
    FaultKind::MisnamedCertificate,
    FaultKind::HandshakeSilence,
    FaultKind::HandshakeCut,
    FaultKind::HandshakeGarbage,
];

/// The weather turns: one more fault is scripted.
pub(super) fn turn(storm: &mut Storm) {
    let service = *storm.random.pick(&Service::ALL).unwrap();
    let spec = match storm.random.below(10) {
        0 => {
            // Connections live long: one must end for the next to be seen.
            script(storm, FaultSpec::once(service, FaultKind::Cut));
            let kind = *storm.random.pick(&HANDSHAKES).unwrap();
            FaultSpec::once(service, kind)
        }
        1..=5 if service != Service::Wns => {
            let kind = *storm.random.pick(&STREAMS).unwrap();
            of_a_push(storm, service, kind)
        }
        _ => {
            let kind = *storm.random.pick(&SHARED).unwrap();
            of_a_push(storm, service, kind)
        }
    };
    script(storm, spec);
}

/// Whether a push can reach its device long after the hub has given it up.
pub(super) fn holds(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Silence | FaultKind::Slow | FaultKind::HalfOpen
    )
}

fn of_a_push(storm: &mut Storm, service: Service, kind: FaultKind) -> FaultSpec {
    let open = [
        FaultKind::Cut,
        FaultKind::ConnectionReset,
        FaultKind::HalfOpen,
        FaultKind::Garbage,
        FaultKind::Reset,
    ];
    let lasting = [FaultKind::HalfOpen, FaultKind::Silence, FaultKind::Endless];
    let times = if lasting.contains(&kind) {
        1
    } else {
        1 + storm.random.below(4)
    };
    let mut spec = FaultSpec::always(service, kind);
    spec.times = Some(u32::try_from(times).unwrap());
    spec.delivered = open.contains(&kind) && storm.random.chance(50);
    spec.retry_after_seconds = (kind == FaultKind::Throttled).then_some(1);
    spec.delay_ms = (kind == FaultKind::Slow).then(|| storm.random.next() % 400);
    spec.streams =
        (kind == FaultKind::StreamLimit).then(|| u32::try_from(1 + storm.random.below(3)).unwrap());
    let may_be_at_token = matches!(service, Service::Fcm | Service::Wns) && !spec.delivered;
    if may_be_at_token && storm.random.chance(10) {
        spec.at = At::Token;
        storm.hub.doubles().revoke_access_tokens();
    }
    spec
}

fn script(storm: &mut Storm, spec: FaultSpec) {
    let kind = spec.kind.name();
    let (service, times) = (spec.service, spec.times);
    let delivered = if spec.delivered { ", delivered" } else { "" };
    let at = spec.at;
    storm
        .trail
        .push(format!("{service:?} {at:?}: {kind} {times:?}{delivered}"));
    storm.hub.doubles().script(spec);
}
