//! Faults of connections and streams, and answers out of shape, seen by a client that knows nothing of the hub.

use std::time::Duration;

use hyper::body::Bytes;
use serde_json::json;
use tokio::task::JoinHandle;

use super::super::{At, Fate, FaultKind, FaultSpec, Service};
use super::drafts::*;
use super::faults::{pushes, send};
use super::frames::{Frames, GO_AWAY, HEADERS, RST_STREAM, SETTINGS};
use super::support::*;

/// Long enough for what does not come.
const A_WHILE: Duration = Duration::from_millis(200);

/// A raw connection of HTTP/2.
pub(super) struct Raw {
    pub(super) sender: h2::client::SendRequest<Bytes>,
    pings: h2::PingPong,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Raw {
    pub(super) async fn open(rig: &Rig, draft: &Draft) -> Self {
        let stream = rig.tls(draft.authority(), &["h2"]).await.unwrap();
        let (sender, mut connection) = h2::client::handshake(stream).await.unwrap();
        let pings = connection.ping_pong().unwrap();
        Self {
            sender,
            pings,
            connection: tokio::spawn(connection),
        }
    }

    /// Waits until what the other end said at first has come.
    pub(super) async fn is_up(&mut self) {
        self.pings.ping(h2::Ping::opaque()).await.unwrap();
    }

    /// Sends and leaves the answer for later.
    pub(super) async fn begin(
        &mut self,
        draft: &Draft,
    ) -> Result<h2::client::ResponseFuture, h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        let (head, _) = draft.request(true).into_parts();
        let (answer, mut body) =
            sender.send_request(hyper::Request::from_parts(head, ()), false)?;
        body.send_data(Bytes::from(draft.body.clone()), true)?;
        Ok(answer)
    }

    pub(super) async fn send(&mut self, draft: &Draft) -> Result<u16, h2::Error> {
        let answer = self.begin(draft).await?.await?;
        Ok(answer.status().as_u16())
    }
}

/// The services that speak HTTP/2, each with a good push.
async fn over_http2(rig: &Rig) -> Vec<(Service, Draft)> {
    let mut all = Vec::from(pushes(rig).await);
    all.retain(|(service, _)| *service != Service::Wns);
    all
}

fn handed_over(rig: &Rig, after: u64) -> usize {
    let arrivals = rig.handle().arrivals(after);
    let handed = arrivals
        .iter()
        .filter(|it| it.fate == Some(Fate::HandedOver));
    handed.count()
}

#[tokio::test]
async fn a_stream_is_refused_or_reset_and_the_connection_lives_on() {
    let rig = Rig::start().await;
    for (service, draft) in over_http2(&rig).await {
        let mut raw = Raw::open(&rig, &draft).await;
        for (kind, reason) in [
            (FaultKind::RefusedStream, h2::Reason::REFUSED_STREAM),
            (FaultKind::Reset, h2::Reason::INTERNAL_ERROR),
        ] {
            let place = rig.handle().place();
            rig.handle().script(FaultSpec::once(service, kind));
            let error = raw.send(&draft).await.unwrap_err();
            assert!(
                error.is_reset() && error.is_remote(),
                "{service:?} {error:?}"
            );
            assert_eq!(error.reason(), Some(reason), "{service:?}");
            assert_eq!(handed_over(&rig, place), 0, "{service:?} {kind:?}");
        }
        assert!(raw.send(&draft).await.unwrap() < 300, "{service:?}");
    }
}

#[tokio::test]
async fn a_push_can_reach_its_device_though_the_answer_is_lost() {
    let rig = Rig::start().await;
    for (service, draft) in pushes(&rig).await {
        for kind in [
            FaultKind::Cut,
            FaultKind::ConnectionReset,
            FaultKind::Garbage,
        ] {
            for delivered in [false, true] {
                let place = rig.handle().place();
                rig.handle().script(FaultSpec {
                    delivered,
                    ..FaultSpec::once(service, kind)
                });
                let broken = attempt(&rig, service, &draft).await;
                assert!(broken.is_err(), "{service:?} {kind:?} {broken:?}");
                let handed = handed_over(&rig, place);
                assert_eq!(handed, usize::from(delivered), "{service:?} {kind:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_breaks_off_after_its_head_and_the_push_was_taken() {
    let rig = Rig::start().await;
    for (service, draft) in pushes(&rig).await {
        for kind in [FaultKind::CutMidAnswer, FaultKind::ResetMidAnswer] {
            if service == Service::Wns && kind == FaultKind::ResetMidAnswer {
                continue;
            }
            let place = rig.handle().place();
            rig.handle().script(FaultSpec::once(service, kind));
            let broken = attempt(&rig, service, &draft).await;
            assert!(broken.is_err(), "{service:?} {kind:?} {broken:?}");
            assert_eq!(handed_over(&rig, place), 1, "{service:?} {kind:?}");
        }
        rig.handle()
            .script(FaultSpec::once(service, FaultKind::CutMidAnswer));
        if service != Service::Wns {
            let answer = Raw::open(&rig, &draft).await.send(&draft).await;
            assert!(answer.unwrap() < 300, "{service:?}: its head comes");
        }
    }
}

#[tokio::test]
async fn go_away_answers_what_it_names_and_nothing_after() {
    let rig = Rig::start().await;
    for (service, draft) in over_http2(&rig).await {
        let mut raw = Raw::open(&rig, &draft).await;
        assert!(raw.send(&draft).await.unwrap() < 300);
        rig.handle()
            .script(FaultSpec::once(service, FaultKind::GoAway));
        assert!(
            raw.send(&draft).await.unwrap() < 300,
            "{service:?}: the last one"
        );
        let after = raw.send(&draft).await.unwrap_err();
        assert!(
            after.is_go_away() && after.is_remote(),
            "{service:?} {after:?}"
        );
    }
}

#[tokio::test]
async fn go_away_with_a_reason_leaves_an_earlier_stream_its_answer() {
    let rig = Rig::start().await;
    for (service, draft) in over_http2(&rig).await {
        let mut raw = Raw::open(&rig, &draft).await;
        assert!(raw.send(&draft).await.unwrap() < 300);
        let place = rig.handle().place();
        let slow = rig
            .handle()
            .script(FaultSpec::once(service, FaultKind::Slow));
        let earlier = raw.begin(&draft).await.unwrap();
        let struck = |kind| move |arrival: &super::super::Arrival| arrival.fault == Some(kind);
        let wait = rig
            .handle()
            .await_arrival(place, SOON, struck(FaultKind::Slow));
        wait.await.unwrap();
        rig.handle().script(FaultSpec {
            reason: Some(String::from("BadCertificate")),
            ..FaultSpec::once(service, FaultKind::GoAwayUnprocessed)
        });
        let unprocessed = raw.send(&draft).await.unwrap_err();
        assert!(unprocessed.is_go_away(), "{service:?} {unprocessed:?}");
        assert_eq!(unprocessed.reason(), Some(h2::Reason::NO_ERROR));
        let shown = format!("{unprocessed:?}");
        assert!(shown.contains("BadCertificate"), "{service:?} {shown}");
        assert_eq!(handed_over(&rig, place), 0, "{service:?}");
        rig.handle().clear_fault(slow);
        assert!(
            earlier.await.unwrap().status().as_u16() < 300,
            "{service:?}"
        );
        assert_eq!(
            handed_over(&rig, place),
            1,
            "{service:?}: the earlier one only"
        );
    }
}

#[tokio::test]
async fn settings_allow_fewer_streams_and_then_more() {
    let rig = Rig::start().await;
    for (service, draft) in over_http2(&rig).await {
        let mut raw = Raw::open(&rig, &draft).await;
        assert!(raw.send(&draft).await.unwrap() < 300);
        for streams in [2, 1, 50] {
            rig.handle().script(FaultSpec {
                streams: Some(streams),
                ..FaultSpec::once(service, FaultKind::StreamLimit)
            });
            assert!(raw.send(&draft).await.unwrap() < 300, "{service:?}");
            let told = raw.sender.current_max_send_streams();
            assert_eq!(told, usize::try_from(streams).unwrap(), "{service:?}");
        }
        let burst = futures_util::future::join_all((0..20).map(async |_| {
            let mut sender = raw.sender.clone().ready().await.unwrap();
            let (head, _) = draft.request(true).into_parts();
            let head = hyper::Request::from_parts(head, ());
            let (answer, mut body) = sender.send_request(head, false).unwrap();
            body.send_data(Bytes::from(draft.body.clone()), true)
                .unwrap();
            answer.await.unwrap().status().as_u16()
        }));
        assert!(burst.await.into_iter().all(|status| status < 300));
    }
}

#[tokio::test]
async fn the_surplus_of_streams_is_refused() {
    let rig = Rig::start().await;
    for (service, draft) in over_http2(&rig).await {
        let mut frames = Frames::open(&rig, &draft).await;
        frames.request(1, &draft).await;
        frames.next(HEADERS, 1).await;
        rig.handle()
            .script(FaultSpec::once(service, FaultKind::StreamLimit));
        frames.request(3, &draft).await;
        let settings = frames.next(SETTINGS, 0).await;
        assert_eq!(settings, [0, 3, 0, 0, 0, 1], "at most one stream");
        frames.next(HEADERS, 3).await;
        let silent = FaultSpec::once(service, FaultKind::Silence);
        let silent = rig.handle().script(silent);
        frames.request(5, &draft).await;
        frames.request(7, &draft).await;
        let refused = frames.next(RST_STREAM, 7).await;
        assert_eq!(refused, [0, 0, 0, 7], "REFUSED_STREAM");
        rig.handle().clear_fault(silent);
        frames.next(HEADERS, 5).await;
        frames.request(9, &draft).await;
        frames.next(HEADERS, 9).await;
    }
}

#[tokio::test]
async fn go_away_is_told_in_the_form_of_the_service() {
    let rig = Rig::start().await;
    for (service, draft) in over_http2(&rig).await {
        let mut frames = Frames::open(&rig, &draft).await;
        frames.request(1, &draft).await;
        frames.next(HEADERS, 1).await;
        rig.handle().script(FaultSpec {
            reason: Some(String::from("Shutdown")),
            ..FaultSpec::once(service, FaultKind::GoAwayUnprocessed)
        });
        frames.request(3, &draft).await;
        let told = frames.next(GO_AWAY, 0).await;
        let (last, error) = (&told[..4], &told[4..8]);
        assert_eq!((last, error), (&[0, 0, 0, 1][..], &[0; 4][..]));
        assert_eq!(told[8..], *br#"{"reason":"Shutdown"}"#);
    }
}

#[tokio::test]
async fn half_open_is_more_silent_than_silence() {
    let rig = Rig::start().await;
    for (service, draft) in over_http2(&rig).await {
        for (kind, answers_pings) in [(FaultKind::Silence, true), (FaultKind::HalfOpen, false)] {
            let mut raw = Raw::open(&rig, &draft).await;
            assert!(raw.send(&draft).await.unwrap() < 300);
            let place = rig.handle().place();
            rig.handle().script(FaultSpec::once(service, kind));
            let held = raw.begin(&draft).await.unwrap();
            let struck = |arrival: &super::super::Arrival| arrival.fault == Some(kind);
            rig.handle()
                .await_arrival(place, SOON, struck)
                .await
                .unwrap();
            let ping = tokio::time::timeout(A_WHILE, raw.pings.ping(h2::Ping::opaque())).await;
            assert_eq!(ping.is_ok(), answers_pings, "{service:?} {kind:?}");
            assert!(!raw.connection.is_finished(), "{service:?}: it stays open");
            rig.handle().clear_faults();
            let answer = held.await;
            assert_eq!(
                answer.is_ok(),
                answers_pings,
                "{service:?} {kind:?} {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn slow_answers_come_after_their_time_as_if_nothing_had_been() {
    let rig = Rig::start().await;
    for (service, draft) in pushes(&rig).await {
        rig.handle().script(FaultSpec {
            delay_ms: Some(50),
            ..FaultSpec::once(service, FaultKind::Slow)
        });
        let began = std::time::Instant::now();
        assert!(
            send(&rig, service, &draft).await.status < 300,
            "{service:?}"
        );
        assert!(began.elapsed() >= Duration::from_millis(50), "{service:?}");
    }
}

#[tokio::test]
async fn answers_out_of_shape() {
    let rig = Rig::start().await;
    for (service, draft) in pushes(&rig).await {
        let said = async |kind| {
            rig.handle().script(FaultSpec::once(service, kind));
            send(&rig, service, &draft).await
        };
        let page = said(FaultKind::HtmlError).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (502, "text/html")
        );
        let garbage = said(FaultKind::GarbageBody).await;
        assert_eq!(garbage.status, 503);
        assert!(garbage.body.contains('\u{fffd}'), "{service:?}");
        let long = said(FaultKind::Oversized).await;
        assert_eq!(
            (long.status, long.body.len()),
            (500, 1024 * 1024),
            "{service:?}"
        );
        let place = rig.handle().place();
        let elsewhere = said(FaultKind::Redirect).await;
        assert_eq!(elsewhere.status, 301);
        assert!(elsewhere.header("location").ends_with("/redirected"));
        assert!(elsewhere.header("location").contains(draft.authority()));
        assert_eq!(
            rig.handle().arrivals(place).len(),
            1,
            "a raw client does not follow"
        );
        rig.handle().script(FaultSpec {
            location: Some(String::from("https://127.0.0.1:1/x")),
            ..FaultSpec::once(service, FaultKind::Redirect)
        });
        let there = send(&rig, service, &draft).await;
        assert_eq!(there.header("location"), "https://127.0.0.1:1/x");
    }
}

#[tokio::test]
async fn an_endless_answer_ends_when_it_is_cleared() {
    use http_body_util::BodyExt as _;
    let rig = Rig::start().await;
    for (service, draft) in over_http2(&rig).await {
        rig.handle()
            .script(FaultSpec::once(service, FaultKind::Endless));
        let mut sender = rig.http2(&draft).await;
        let response = sender.send_request(draft.request(true)).await.unwrap();
        assert_eq!(response.status(), 500);
        let mut body = response.into_body();
        let mut read = 0;
        while read < 4 * 1024 * 1024 {
            read += body
                .frame()
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap()
                .len();
        }
        rig.handle().clear_faults();
        while let Some(frame) = body.frame().await {
            frame.unwrap();
        }
    }
}

#[tokio::test]
async fn an_endless_answer_that_is_given_up_leaves_the_connection_free() {
    let rig = Rig::start().await;
    for (service, draft) in over_http2(&rig).await {
        rig.handle()
            .script(FaultSpec::once(service, FaultKind::Endless));
        let mut raw = Raw::open(&rig, &draft).await;
        assert_eq!(raw.send(&draft).await.unwrap(), 500, "and dropped unread");
        assert!(raw.send(&draft).await.unwrap() < 300, "{service:?}");
        rig.handle().clear_faults();
    }
}

#[tokio::test]
async fn a_handshake_goes_wrong_and_the_next_one_well() {
    let rig = Rig::start().await;
    for (service, draft) in pushes(&rig).await {
        for (kind, words) in [
            (FaultKind::WrongCertificate, "UnknownIssuer"),
            (FaultKind::ExpiredCertificate, "certificate expired"),
            (
                FaultKind::MisnamedCertificate,
                "certificate not valid for name",
            ),
            (FaultKind::HandshakeCut, ""),
            (FaultKind::HandshakeGarbage, ""),
        ] {
            rig.handle().script(FaultSpec::once(service, kind));
            let broken = rig.tls(draft.authority(), &["h2", "http/1.1"]).await;
            let error = broken.map(drop).unwrap_err().to_string();
            assert!(error.contains(words), "{kind:?}: {error}");
            assert_eq!(error.contains("certificate"), !words.is_empty(), "{error}");
            assert_eq!(rig.handle().faults(), []);
        }
        let silent = FaultSpec::once(service, FaultKind::HandshakeSilence);
        let silent = rig.handle().script(silent);
        let shaking = rig.tls(draft.authority(), &["h2", "http/1.1"]);
        assert!(tokio::time::timeout(A_WHILE, shaking).await.is_err());
        rig.handle().clear_fault(silent);
        assert!(
            send(&rig, service, &draft).await.status < 300,
            "{service:?}"
        );
    }
}

#[tokio::test]
async fn a_wait_is_demanded_in_seconds_or_until_a_date() {
    let rig = Rig::start().await;
    rig.handle().set_clock_offset(0);
    for (service, draft) in pushes(&rig).await {
        rig.handle().script(FaultSpec {
            retry_after_seconds: Some(120),
            retry_after_date: true,
            ..FaultSpec::once(service, FaultKind::Throttled)
        });
        let reply = send(&rig, service, &draft).await;
        let date = reply.header("retry-after");
        assert!(date.ends_with(" GMT"), "{service:?} {date}");
        let until = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
        let wait = until.as_second() - now(&rig);
        assert!((110..=121).contains(&wait), "{service:?}: {wait}");
        rig.handle().script(FaultSpec {
            retry_after_seconds: Some(9),
            ..FaultSpec::once(service, FaultKind::ServerError)
        });
        assert_eq!(send(&rig, service, &draft).await.header("retry-after"), "9");
    }
}

#[tokio::test]
async fn a_token_found_dead_earlier_says_when() {
    let rig = Rig::start().await;
    let draft = apns_push(&rig, &rig.device(Service::Apns));
    rig.handle().script(FaultSpec {
        timestamp_ms: Some(1_600_000_000_000),
        ..FaultSpec::once(Service::Apns, FaultKind::Gone)
    });
    let reply = rig.send2(&draft).await;
    let wanted = json!({"reason": "Unregistered", "timestamp": 1_600_000_000_000_i64});
    assert_eq!((reply.status, reply.json()), (410, wanted));
}

#[tokio::test]
async fn an_access_token_dies_in_mid_stream() {
    let rig = Rig::start().await;
    for service in [Service::Fcm, Service::Wns] {
        rig.handle().script(FaultSpec {
            at: At::Token,
            life_seconds: Some(60),
            ..FaultSpec::once(service, FaultKind::ShortLife)
        });
        let drafts = pushes(&rig).await;
        let push = drafts.iter().find(|(of, _)| *of == service).unwrap();
        assert!(
            send(&rig, service, &push.1).await.status < 300,
            "{service:?}"
        );
        rig.handle().set_clock_offset(61);
        assert_eq!(
            send(&rig, service, &push.1).await.status,
            401,
            "{service:?}"
        );
        rig.handle().set_clock_offset(0);
    }
}
