use futures_util::future::join_all;
use url::Url;

use super::*;
use crate::egress::{
    Protocol, Reach, Resolver, Settings,
    testing::{Seen, Server, reply},
};

fn cache(server: &Server) -> Tokens {
    let settings = Settings {
        protocol: Protocol::Either,
        reach: Reach::Trusted,
        resolver: Resolver::System,
        first_alone: false,
    };
    let client = Client::new(settings, Some(&server.ca)).unwrap();
    let url: Url = server.at("token");
    Tokens::new(
        client,
        Box::new(move |_| Ok(Request::post(url.clone(), "form".into()))),
    )
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000).plus(Duration::from_secs(secs))
}

fn granted(seen: &Seen) -> String {
    format!(r#"{{"access_token":"t{}","expires_in":3600}}"#, seen.nth)
}

async fn bearer(tokens: &Tokens, secs: u64) -> String {
    tokens.get(at(secs)).await.unwrap().bearer.expose().clone()
}

#[tokio::test]
async fn a_hundred_callers_ask_once() {
    let server = Server::start(&["h2"], |seen| reply(200, granted(seen))).await;
    let tokens = cache(&server);
    for token in join_all((0..100).map(|_| bearer(&tokens, 0))).await {
        assert_eq!(token, "Bearer t0");
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_by_one_caller() {
    let server = Server::start(&["h2"], |seen| reply(200, granted(seen))).await;
    let tokens = cache(&server);
    assert_eq!(bearer(&tokens, 0).await, "Bearer t0");
    assert_eq!(bearer(&tokens, 3299).await, "Bearer t0");
    let due = join_all((0..10).map(|_| bearer(&tokens, 3300))).await;
    assert_eq!(
        due.iter().filter(|token| *token == "Bearer t1").count(),
        1,
        "{due:?}"
    );
    assert_eq!(bearer(&tokens, 3300).await, "Bearer t1");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn short_lives_are_renewed_in_their_last_tenth() {
    let server = Server::start(&["h2"], |_| {
        reply(
            200,
            r#"{"access_token":"t","expires_in":"100","expires_on":"7"}"#,
        )
    })
    .await;
    let tokens = cache(&server);
    for (secs, asked) in [(0, 1), (89, 1), (90, 2), (179, 2), (300, 3)] {
        bearer(&tokens, secs).await;
        assert_eq!(server.seen().len(), asked, "{secs} s");
    }
}

#[tokio::test]
async fn the_old_token_serves_while_renewal_fails() {
    let server = Server::start(&["h2"], |seen| match seen.nth {
        0 => reply(200, granted(seen)),
        _ => reply(503, ""),
    })
    .await;
    let tokens = cache(&server);
    bearer(&tokens, 0).await;
    for _ in 0..5 {
        assert_eq!(bearer(&tokens, 3400).await, "Bearer t0");
    }
    assert_eq!(server.seen().len(), 2, "a failed refresh backs off");
    let outcome = tokens.get(at(3600)).await.err().unwrap();
    assert_eq!(outcome.verdict, LATER);
    assert_eq!(outcome.answer.status, 503);
}

#[tokio::test]
async fn a_failure_is_told_to_all_and_tried_again_later() {
    let server = Server::start(&["h2"], |seen| match seen.nth {
        0 => reply(429, "").header("retry-after", "20"),
        _ => reply(200, granted(seen)),
    })
    .await;
    let tokens = cache(&server);
    let waits = Verdict::Retry {
        after: Some(Duration::from_secs(20)),
        scope: Scope::Lane,
    };
    for outcome in join_all((0..20).map(|_| tokens.get(at(0)))).await {
        assert_eq!(outcome.err().unwrap().verdict, waits);
    }
    assert!(tokens.get(at(19)).await.is_err());
    assert_eq!(server.seen().len(), 1);
    assert_eq!(bearer(&tokens, 20).await, "Bearer t1");
}

#[tokio::test]
async fn a_refusal_of_a_time_that_has_not_come_is_none() {
    let server = Server::start(&["h2"], |seen| match seen.nth {
        0 => reply(400, r#"{"error":"invalid_grant"}"#),
        _ => reply(200, granted(seen)),
    })
    .await;
    let tokens = cache(&server);
    assert!(tokens.get(at(60 * 24 * 3600)).await.is_err());
    // The clock had leapt, and is set right.
    assert_eq!(bearer(&tokens, 0).await, "Bearer t1");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = Server::start(&["h2"], |seen| reply(200, granted(seen))).await;
    let tokens = cache(&server);
    let first = tokens.get(at(0)).await.unwrap();
    tokens.discard(first.number);
    let second = tokens.get(at(0)).await.unwrap();
    tokens.discard(first.number);
    assert_eq!(tokens.get(at(0)).await.unwrap().number, second.number);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn the_services_own_words_come_through() {
    let server = Server::start(&["h2"], |_| {
        reply(
            400,
            r#"{"error":"invalid_grant","error_description":"Invalid JWT:\nclock"}"#,
        )
    })
    .await;
    let outcome = cache(&server).check(at(0)).await.unwrap_err();
    assert_eq!(outcome.verdict, Verdict::Misconfigured);
    let reason = outcome.answer.reason.unwrap();
    assert_eq!(reason, "token endpoint: invalid_grant: Invalid JWT: clock");
}

#[test]
fn refusals() {
    let check = |status: u16, error: Option<&str>, expected: Verdict| {
        assert_eq!(verdict(status, error), expected, "{status} {error:?}");
    };
    for error in [
        "invalid_grant",
        "invalid_client",
        "unauthorized_client",
        "invalid_scope",
    ] {
        check(400, Some(error), Verdict::Misconfigured);
        check(401, Some(error), Verdict::Misconfigured);
    }
    check(400, None, Verdict::Misconfigured);
    check(302, None, Verdict::Misconfigured);
    check(404, None, Verdict::Misconfigured);
    check(400, Some("temporarily_unavailable"), LATER);
    check(429, None, LATER);
    check(500, None, LATER);
    check(503, Some("server_error"), LATER);
    check(200, None, LATER);
}
