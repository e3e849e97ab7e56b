//! Users who come with a token of their app's own identity provider.

mod provider;

use std::{sync::Arc, time::Duration};

use beckon::{
    config::{App, Identity, KeySource, SigningAlgorithm},
    doubles::{NewDevice, Service},
    model::Timestamp,
};
use serde_json::{Value, json};

use crate::support::{Client, Sse, TestHub, eventually, hub::APP};
use provider::{Provider, SigningKey, hmac_token, unsigned};

const ISSUER: &str = "https://id.example.com";
const ME: &str = "/v1/me/notifications";

fn identity(keys: KeySource) -> Identity {
    Identity {
        issuer: ISSUER.into(),
        audience: "todo".into(),
        keys,
        user_claim: "sub".into(),
        algorithms: SigningAlgorithm::ALL.to_vec(),
    }
}

/// Has the app take tokens of a provider.
async fn trust(hub: &TestHub, identity: Identity) {
    let identity = Arc::new(identity);
    let apps = hub.running().hub.apps().all().into_iter().map(|app| {
        let mut app = App::clone(&app);
        if app.host.as_str() == APP {
            app.identity = Some(Arc::clone(&identity));
        }
        Arc::new(app)
    });
    hub.running().reload(apps.collect()).await.unwrap();
}

/// Ada's claims, good for an hour.
fn claims(hub: &TestHub) -> Value {
    let now = hub.clock.now().as_secs();
    json!({"iss": ISSUER, "aud": ["other", "todo"], "sub": "ada", "iat": now, "exp": now + 3600})
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

async fn status(client: &Client) -> (u16, String) {
    let answer = client.get(ME).await;
    (
        answer.status.as_u16(),
        String::from_utf8_lossy(&answer.body).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_each_algorithm_speaks_for_its_user() {
    let hub = TestHub::at_a_standstill().await;
    let keys = [
        ("RS256", SigningKey::rsa()),
        ("PS256", SigningKey::rsa()),
        ("ES256", SigningKey::ec()),
        ("EdDSA", SigningKey::ed()),
    ];
    let set = keys.iter().map(|(name, key)| key.jwk(name)).collect();
    trust(&hub, identity(KeySource::File(set))).await;
    hub.post("ada", "Lunch?").await;
    for (algorithm, key) in &keys {
        for header in [json!({"kid": algorithm}), json!({})] {
            let token = key.token(algorithm, header, &claims(&hub));
            let page = hub.client().bearer(&token).get(ME).await.expect(200);
            let title = &page["value"][0]["payload"]["visualContent"]["title"];
            assert_eq!(title, "Lunch?", "{algorithm}");
        }
    }
    hub.finish().await;
}

/// What is refused, each with what the answer says.
#[rustfmt::skip]
fn refused(hub: &TestHub, key: &SigningKey, stranger: &SigningKey) -> Vec<(String, &'static str)> {
    let (good, now) = (claims(hub), hub.clock.now().as_secs());
    let kid = || json!({"kid": "k"});
    let signed = |claims: Value| key.token("RS256", kid(), &claims);
    let changed = |name: &str, value: Value| signed(with(good.clone(), name, value));
    let token = signed(good.clone());
    let signature = token.rsplit_once('.').unwrap().1;
    let forged = unsigned("RS256", kid(), &with(good.clone(), "sub", "eve".into()));
    vec![
        (format!("{forged}.{signature}"), "the signature of this token is not good"),
        (stranger.token("RS256", kid(), &good), "the signature of this token is not good"),
        (stranger.token("RS256", json!({"kid": "x"}), &good), "with a key that its issuer does not have"),
        (key.token("PS256", kid(), &good), "by an algorithm that its app does not take"),
        (format!("{}.", unsigned("none", kid(), &good)), "is no JWT"),
        (hmac_token(&key.jwk("k"), &good), "by an algorithm that is not taken"),
        (key.token("ES256", kid(), &good), "with a key that its issuer does not have"),
        (key.token("RS256", json!({"kid": "k", "crit": ["b64"]}), &good), "of the kind crit"),
        (changed("exp", (now - 60).into()), "the time of this token is over"),
        (signed(without(good.clone(), "exp")), "has no exp"),
        (signed(without(good.clone(), "iat")), "has no iat"),
        (changed("iat", "lately".into()), "is no time"),
        (changed("iat", (now + 61).into()), "was issued in a time to come"),
        (changed("exp", "soon".into()), "is no time"),
        (changed("nbf", (now + 61).into()), "has not come"),
        (changed("aud", "another".into()), "for another audience"),
        (signed(without(good.clone(), "aud")), "for another audience"),
        (changed("iss", "https://id.example.org".into()), "by an issuer that no app here has"),
        (signed(without(good.clone(), "iss")), "by an issuer that no app here has"),
        (signed(without(good.clone(), "sub")), "names no user"),
        (changed("sub", 7.into()), "names no user"),
        (changed("sub", "..".into()), "names no user"),
        (String::from("a.b.c"), "is no JWT"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_good_is_refused_with_what_is_wrong() {
    let hub = TestHub::at_a_standstill().await;
    let (key, stranger) = (SigningKey::rsa(), SigningKey::rsa());
    let mut jwk = key.jwk("k");
    jwk["alg"] = "RS256".into();
    let mut settings = identity(KeySource::File(vec![jwk]));
    settings.algorithms = vec![SigningAlgorithm::Rs256, SigningAlgorithm::Es256];
    trust(&hub, settings).await;
    for (token, says) in refused(&hub, &key, &stranger) {
        let (status, text) = status(&hub.client().bearer(&token)).await;
        assert_eq!(status, 401, "{says}: {text}");
        assert!(text.contains(says), "{says}: {text}");
        assert!(!text.contains(&token), "{text}");
    }
    // At the very edge it is good: a minute of skew is allowed.
    let now = hub.clock.now().as_secs();
    let edge = with(
        with(claims(&hub), "exp", (now - 59).into()),
        "nbf",
        (now + 60).into(),
    );
    let token = key.token("RS256", json!({"kid": "k"}), &edge);
    assert_eq!(status(&hub.client().bearer(&token)).await.0, 200);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_clients_doors_alone_and_its_device_is_named_by_the_header() {
    let hub = TestHub::at_a_standstill().await;
    let key = SigningKey::ec();
    trust(&hub, identity(KeySource::File(vec![key.jwk("k")]))).await;
    let token = key.token("ES256", json!({}), &claims(&hub));
    let ada = hub.client().bearer(&token);
    let device = hub
        .doubles()
        .add_device(NewDevice::of(Service::Fcm))
        .unwrap();
    let channel = serde_json::to_value(&device.channel).unwrap();
    ada.put("/v1/me/endpoints/phone", json!({"channel": channel}))
        .await
        .expect(201);
    hub.registered("bob", "tablet").await;
    let at = |endpoint: &str| ada.clone().header("x-endpoint-id", endpoint);
    at("phone").get(ME).await.expect(200);
    let foreign = at("tablet").get(ME).await;
    assert_eq!(foreign.expect(404)["error"]["code"], "endpointNotFound");
    // Whoever says it is one device registers no other.
    let body = json!({"platform": "iOS", "channel": {"type": "none"}});
    let other = at("tablet").put("/v1/me/endpoints/other", body).await;
    assert_eq!(other.refused(403), "accessDenied");
    // Not a door of app servers, and nothing to renew.
    let posted = ada.post("/v1/users/ada/notifications", json!({})).await;
    assert_eq!(posted.expect(403)["error"]["code"], "accessDenied");
    let renewed = ada.post("/v1/me/token", json!({})).await.expect(403);
    let says = renewed["error"]["message"].as_str().unwrap();
    assert!(says.contains("which renews it"), "{says}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_from_before_an_erasure_are_dead_for_as_long_as_they_would_have_lived() {
    let hub = TestHub::at_a_standstill().await;
    let key = SigningKey::ec();
    trust(&hub, identity(KeySource::File(vec![key.jwk("k")]))).await;
    let at = |secs: u64| hub.clock.now().as_secs() + secs;
    let token = |claims: Value| {
        let token = key.token("ES256", json!({"kid": "k"}), &claims);
        hub.client().bearer(&token)
    };
    let year = 365 * 24 * 3600;
    let lasting = with(claims(&hub), "exp", (at(2 * year)).into());
    let before = token(with(lasting.clone(), "iat", at(0).into()));
    before.get(ME).await.expect(200);
    hub.post("ada", "Lunch?").await;
    let mut stream = Sse::open(&before, &format!("{ME}/stream")).await;
    hub.app().delete("/v1/users/ada").await.expect(204);
    assert_eq!(stream.rest().await, "");
    let body = json!({"platform": "iOS", "channel": {"type": "none"}});
    let (code, said) = status(&before).await;
    assert_eq!(code, 401, "{said}");
    assert!(said.contains("was erased"), "{said}");
    let registered = before.put("/v1/me/endpoints/phone", body).await;
    assert_eq!(registered.refused(401), "unauthenticated");
    // The provider's clock may be a minute ahead.
    let soon = token(with(lasting.clone(), "iat", at(60).into()));
    assert_eq!(status(&soon).await.0, 401);
    let after = token(with(lasting, "iat", at(61).into()));
    assert_eq!(status(&after).await.0, 401, "of a time to come");
    hub.advance(Duration::from_secs(1));
    assert_eq!(after.get(ME).await.expect(200)["value"], json!([]));
    // Others' are what they were.
    let eve = token(with(claims(&hub), "sub", "eve".into()));
    eve.get(ME).await.expect(200);
    hub.advance(Duration::from_secs(year + 3600));
    for old in [&before, &after] {
        let (status, said) = status(old).await;
        assert_eq!(status, 401);
        assert!(said.contains("more than a year ago"), "{said}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_token_does() {
    let hub = TestHub::at_a_standstill().await;
    let key = SigningKey::ed();
    trust(&hub, identity(KeySource::File(vec![key.jwk("k")]))).await;
    let soon = hub.clock.now().as_secs() + 10;
    let token = key.token("EdDSA", json!({}), &with(claims(&hub), "exp", soon.into()));
    let mut stream = Sse::open(&hub.client().bearer(&token), &format!("{ME}/stream")).await;
    // Until then, and for the minute that clocks may differ.
    hub.advance(Duration::from_secs(60));
    hub.post("ada", "still").await;
    stream.event().await;
    hub.advance(Duration::from_secs(11));
    let rest = stream.rest().await;
    assert!(
        rest.trim_end().lines().all(|line| line.starts_with(':')),
        "nothing but a heartbeat: {rest}"
    );
    assert_eq!(status(&hub.client().bearer(&token)).await.0, 401);
    hub.finish().await;
}

/// With its keys at the provider.
async fn remote(hub: &TestHub, keys: Value) -> Provider {
    let provider = Provider::start(keys).await;
    let url = provider.url.parse().unwrap();
    let ca = Some(Arc::new(provider.ca.clone()));
    trust(hub, identity(KeySource::Url { url, ca })).await;
    provider
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_for_one_that_is_unknown_once_a_minute_and_kept_when_the_provider_is_down()
{
    let hub = TestHub::at_a_standstill().await;
    let (old, new) = (SigningKey::rsa(), SigningKey::rsa());
    let provider = remote(&hub, json!({"keys": [old.jwk("old"), {"kty": "new kind"}]})).await;
    let by = |key: &SigningKey, kid: &str| {
        let token = key.token("RS256", json!({"kid": kid}), &claims(&hub));
        hub.client().bearer(&token)
    };
    // Many at once have them fetched once.
    let many = (0..20).map(|_| async { status(&by(&old, "old")).await.0 });
    let all = futures_util::future::join_all(many).await;
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
    assert_eq!(provider.asked(), 1);
    provider.set_keys(json!({"keys": [old.jwk("old"), new.jwk("new")]}));
    // Asked a moment ago: whoever names unknown keys does not have them fetched at will.
    for kid in ["new", "a", "b", "c"] {
        assert_eq!(status(&by(&new, kid)).await.0, 401);
    }
    assert_eq!(provider.asked(), 1);
    hub.advance(Duration::from_secs(60));
    assert_eq!(status(&by(&new, "new")).await.0, 200);
    assert_eq!(status(&by(&old, "old")).await.0, 200);
    assert_eq!(provider.asked(), 2);
    // Its time of five minutes is over.
    provider.set_keys(json!({"keys": [new.jwk("new")]}));
    hub.advance(Duration::from_secs(300));
    assert_eq!(status(&by(&old, "old")).await.0, 401, "it is gone");
    provider.set_keys(json!({"keys": [old.jwk("old"), new.jwk("new")]}));
    hub.advance(Duration::from_secs(300));
    assert_eq!(status(&by(&old, "old")).await.0, 200);
    assert_eq!(provider.asked(), 4);
    // The same, and it is down.
    provider.set_down(true);
    hub.advance(Duration::from_secs(600));
    for _ in 0..2 {
        assert_eq!(status(&by(&new, "new")).await.0, 200);
        assert_eq!(status(&by(&old, "old")).await.0, 200);
        // Nobody waits for them who has what it needs.
        eventually("they are asked for once", || async {
            (provider.asked() == 5).then_some(())
        })
        .await;
    }
    // What was taken away is good no more once that is known.
    provider.set_down(false);
    provider.set_keys(json!({"keys": [new.jwk("new")]}));
    hub.advance(Duration::from_secs(61));
    assert_eq!(status(&by(&old, "old")).await.0, 401, "at once");
    assert_eq!(status(&by(&new, "new")).await.0, 200);
    assert_eq!(provider.asked(), 6);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_stay_where_only_what_vouches_for_their_address_changes() {
    let hub = TestHub::at_a_standstill().await;
    let key = SigningKey::ec();
    let provider = remote(&hub, json!({"keys": [key.jwk("k")]})).await;
    let token = key.token("ES256", json!({"kid": "k"}), &claims(&hub));
    let ada = hub.client().bearer(&token);
    ada.get(ME).await.expect(200);
    provider.set_down(true);
    let ca = [&provider.ca[..], b"\n"].concat();
    let url = provider.url.parse().unwrap();
    let ca = Some(Arc::new(ca));
    trust(&hub, identity(KeySource::Url { url, ca })).await;
    ada.get(ME).await.expect(200);
    // Of another address they are not.
    let url = provider.url.replace("/jwks", "/others").parse().unwrap();
    let ca = Some(Arc::new(provider.ca.clone()));
    trust(&hub, identity(KeySource::Url { url, ca })).await;
    ada.get(ME).await.expect(503);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_there_never_were_any_keys_nobody_is_called_a_forger() {
    let hub = TestHub::at_a_standstill().await;
    let key = SigningKey::ec();
    let provider = remote(&hub, json!({"keys": [key.jwk("k")]})).await;
    provider.set_down(true);
    let token = key.token("ES256", json!({"kid": "k"}), &claims(&hub));
    let ada = hub.client().bearer(&token);
    let answer = ada.get(ME).await;
    assert_eq!(answer.header("retry-after"), Some("5"));
    let refused = answer.expect(503);
    assert_eq!(refused["error"]["code"], "serviceUnavailable");
    provider.set_down(false);
    hub.advance(Duration::from_secs(5));
    ada.get(ME).await.expect(200);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_post_where_the_app_lets_them() {
    let hub = TestHub::at_a_standstill().await;
    let key = SigningKey::ec();
    let apps = hub.running().hub.apps().all();
    let apps = apps.iter().map(|app| {
        let mut app = App::clone(app);
        app.delegated_post = true;
        app.identity = (app.host.as_str() == APP)
            .then(|| Arc::new(identity(KeySource::File(vec![key.jwk("k")]))));
        Arc::new(app)
    });
    hub.running().reload(apps.collect()).await.unwrap();
    let token = key.token("ES256", json!({}), &claims(&hub));
    let expires: Timestamp = hub.clock.now().plus(Duration::from_secs(600));
    let body = json!({"targetHostName": APP, "expirationDateTime": expires.to_string(), "payload": {"rawContent": "r"}, "targetPolicy": {"platformTypes": ["iOS"]}});
    let posted = hub
        .client()
        .bearer(&token)
        .post("/beta/me/notifications", body)
        .await;
    posted.expect(201);
    let page = hub
        .app()
        .get("/v1/users/ada/notifications")
        .await
        .expect(200);
    assert_eq!(page["value"].as_array().unwrap().len(), 1);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_claim_may_name_the_user_and_a_token_for_two_apps_is_for_neither() {
    let hub = TestHub::at_a_standstill().await;
    hub.other_app().await;
    let key = SigningKey::ec();
    let by = |audience: &str| {
        let mut settings = identity(KeySource::File(vec![key.jwk("k")]));
        settings.audience = audience.into();
        settings.user_claim = "oid".into();
        Some(Arc::new(settings))
    };
    let apps = hub.running().hub.apps().all().into_iter().map(|app| {
        let mut app = App::clone(&app);
        let own = app.host.as_str() == APP;
        app.identity = by(if own { "todo" } else { "other" });
        Arc::new(app)
    });
    hub.running().reload(apps.collect()).await.unwrap();
    hub.post("ada", "Lunch?").await;
    let ask = async |audience: Value| {
        let claims = with(with(claims(&hub), "sub", "eve".into()), "oid", "ada".into());
        let token = key.token("ES256", json!({}), &with(claims, "aud", audience));
        hub.client().bearer(&token).get(ME).await
    };
    let count = |page: Value| page["value"].as_array().unwrap().len();
    assert_eq!(count(ask("todo".into()).await.expect(200)), 1);
    assert_eq!(
        count(ask("other".into()).await.expect(200)),
        0,
        "its own app alone"
    );
    let both = ask(json!(["todo", "other"])).await.expect(401);
    let says = both["error"]["message"].as_str().unwrap();
    assert!(says.contains("for several apps"), "{says}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_while_keys_are_fetched_does_not_have_them_fetched_again() {
    let hub = TestHub::at_a_standstill().await;
    let key = SigningKey::ec();
    let provider = remote(&hub, json!({"keys": [key.jwk("k")]})).await;
    provider.hold(true);
    let token = key.token("ES256", json!({"kid": "k"}), &claims(&hub));
    let ada = hub.client().bearer(&token);
    for nth in 0..5 {
        let asking = tokio::spawn({
            let ada = ada.clone();
            async move { ada.get(ME).await }
        });
        eventually("the keys are asked for", || async {
            (provider.asked() == 1).then_some(())
        })
        .await;
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled(), "{nth}");
    }
    provider.hold(false);
    ada.get(ME).await.expect(200);
    assert_eq!(provider.asked(), 1);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_provider_is_trusted_no_more() {
    let hub = TestHub::at_a_standstill().await;
    let key = SigningKey::ec();
    trust(&hub, identity(KeySource::File(vec![key.jwk("k")]))).await;
    let token = key.token("ES256", json!({}), &claims(&hub));
    let ada = hub.client().bearer(&token);
    let ticket = ada.post(&format!("{ME}/stream/ticket"), json!({})).await;
    let ticket = ticket.expect(201)["ticket"].as_str().unwrap().to_owned();
    let by_ticket = format!("{ME}/stream?ticket={ticket}");
    let mut streams = [
        Sse::open(&ada, &format!("{ME}/stream")).await,
        Sse::open(&hub.client(), &by_ticket).await,
    ];
    trust(
        &hub,
        identity(KeySource::File(vec![SigningKey::ec().jwk("k")])),
    )
    .await;
    for stream in &mut streams {
        assert_eq!(stream.rest().await, "");
    }
    assert_eq!(status(&ada).await.0, 401);
    hub.finish().await;
}
