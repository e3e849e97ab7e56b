//! `/oauth2`: an app key against an access token, and errors as RFC 6749 section 5.2 says.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use beckon::model::{AppHost, Scope};
use hyper::Method;

use super::{POST, commits, raw, text};
use crate::support::{
    Answer, Client, TestHub,
    hub::{APP, OTHER_APP},
};

const DOORS: [&str; 2] = ["/oauth2/v2.0/token", "/common/oauth2/v2.0/token"];

async fn ask(client: &Client, door: &str, form: &str) -> Answer {
    let client = client.header("content-type", "application/x-www-form-urlencoded");
    client
        .send(Method::POST, door, form.to_owned().into())
        .await
}

fn form(key: &str) -> String {
    format!(
        "grant_type=client_credentials&client_id={APP}&client_secret={key}&scope=https%3A%2F%2Fx%2F.default"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_is_as_good_as_its_key_for_an_hour() {
    let hub = TestHub::at_a_standstill().await;
    for door in DOORS {
        let answer = ask(&hub.client(), door, &form(&hub.key)).await;
        let given = answer.expect(200);
        assert_eq!(given["token_type"], "Bearer", "{given}");
        assert_eq!(given["expires_in"], 3599, "{given}");
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{answer:?}"
        );
        let app = hub.client().bearer(text(&given["access_token"]));
        app.post(POST, raw("r")).await.expect(201);
    }
    let basic = STANDARD.encode(format!("{APP}:{}", hub.key));
    let named = hub
        .client()
        .header("authorization", format!("Basic {basic}"));
    let given = ask(&named, DOORS[0], "grant_type=client_credentials")
        .await
        .expect(200);
    let app = hub.client().bearer(text(&given["access_token"]));
    hub.advance(Duration::from_secs(3598));
    app.get(POST).await.expect(200);
    hub.advance(Duration::from_secs(1));
    assert_eq!(app.get(POST).await.refused(401), "unauthenticated");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_oauths_words() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    let key = &hub.key;
    let check = async |body: &str, expected: (u16, &str)| {
        for door in DOORS {
            let answer = ask(&hub.client(), door, body).await;
            let said = answer.expect(expected.0);
            assert_eq!(said["error"], expected.1, "{body}: {answer:?}");
            assert!(said["error_description"].is_string(), "{body}: {answer:?}");
            assert_eq!(
                answer.header("www-authenticate").is_some(),
                expected.0 == 401,
                "{answer:?}"
            );
            assert_eq!(
                answer.header("cache-control"),
                Some("no-store"),
                "{answer:?}"
            );
        }
    };
    let invalid = (400, "invalid_request");
    check("", invalid).await;
    check("grant_type=client_credentials", invalid).await;
    check(&format!("client_id={APP}&client_secret={key}"), invalid).await;
    check(
        &format!("grant_type=client_credentials&client_id={APP}"),
        invalid,
    )
    .await;
    check(&format!("{}&client_id=b", form(key)), invalid).await;
    check(&format!("{}&odd=a&odd=b", form(key)), invalid).await;
    check(
        &form(key).replace("client_credentials", "password"),
        (400, "unsupported_grant_type"),
    )
    .await;
    check(&form("bk_x_y"), (401, "invalid_client")).await;
    check(&form("x"), (401, "invalid_client")).await;
    check(
        &form(key).replace(APP, "unknown.example"),
        (401, "invalid_client"),
    )
    .await;
    assert_eq!(commits(&hub), before);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_names_itself_in_one_way() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    let key = &hub.key;
    let twice = hub.client().header("authorization", "Basic eDp5");
    let answer = ask(&twice, DOORS[0], &form(key)).await;
    assert_eq!(
        answer.expect(400)["error"],
        "invalid_request",
        "two ways at once"
    );
    for door in DOORS {
        let answer = hub.client().get(door).await;
        assert_eq!(answer.expect(405)["error"], "invalid_request", "{answer:?}");
        assert_eq!(answer.header("allow"), Some("POST"), "{answer:?}");
    }
    let broken = hub.client().header("authorization", "Basic !");
    let answer = ask(&broken, DOORS[0], "grant_type=client_credentials").await;
    assert_eq!(answer.expect(401)["error"], "invalid_client");
    let json = hub
        .app()
        .post(
            DOORS[0],
            serde_json::json!({"grant_type": "client_credentials"}),
        )
        .await;
    assert_eq!(json.expect(400)["error"], "invalid_request", "{json:?}");
    let basic = STANDARD.encode(format!("{APP}:{key}"));
    let basic = hub
        .client()
        .header("authorization", format!("Basic {basic}"));
    for (id, status) in [(OTHER_APP, 400), (APP, 200)] {
        let form = format!("grant_type=client_credentials&client_id={id}");
        ask(&basic, DOORS[0], &form).await.expect(status);
    }
    assert_eq!(commits(&hub), before);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_key_ends_what_it_got() {
    let hub = TestHub::start().await;
    let app = AppHost::parse(APP).unwrap();
    let operator = hub.running().hub.clone();
    let key = operator.create_key(&app, None, Scope::All).await.unwrap();
    let given = ask(&hub.client(), DOORS[0], &form(key.secret.expose()))
        .await
        .expect(200);
    let access = hub.client().bearer(text(&given["access_token"]));
    access.get(POST).await.expect(200);
    operator.revoke_key(&key.kept.id, false).await.unwrap();
    assert_eq!(access.get(POST).await.refused(401), "unauthenticated");
    let again = ask(&hub.client(), DOORS[0], &form(key.secret.expose())).await;
    assert_eq!(again.expect(401)["error"], "invalid_client", "{again:?}");
    hub.app().get(POST).await.expect(200);
    hub.finish().await;
}
