//! Credentials: none, dead, forged, of another door, of a lesser scope.

use super::{Door, ROUTES, Town, access_token, forged, town};
use crate::support::{Client, hub::APP};

/// Every route behind a door, with one credential: all answer this.
async fn refused_by(
    town: &Town,
    who: &str,
    client: &Client,
    doors: &[Door],
    expected: (u16, &str),
) {
    for (verb, path, door) in ROUTES {
        if !doors.contains(&door) {
            continue;
        }
        let answer = town.call(client, verb, path).await;
        let shown = format!("{who}: {verb} {path}: {answer:?}");
        assert_eq!(answer.status.as_u16(), expected.0, "{shown}");
        assert_eq!(answer.json()["error"]["code"], expected.1, "{shown}");
        if expected.0 == 401 {
            assert!(answer.header("www-authenticate").is_some(), "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_credential_is_401_and_one_for_another_door_403() {
    let town = town().await;
    let before = town.seen().await;
    let commits = town.commits();
    let behind = [Door::Send, Door::Users, Door::Me];
    let (nobody, key) = (town.hub.client(), town.hub.key.clone());
    let access = access_token(&town.hub, APP, &key).await.expect(200);
    let access = access["access_token"].as_str().unwrap();
    let token = town.ada.bearer.clone().unwrap();
    let unknown = (401, "unauthenticated");
    refused_by(&town, "nobody", &nobody, &behind, unknown).await;
    for bad in ["", "x", "bk_", "bk_x_y", "ba_", "ba_x.y", "bu_", "ü"] {
        let client = nobody.header("authorization", format!("Bearer {bad}"));
        refused_by(&town, bad, &client, &behind, unknown).await;
    }
    for good in [key.as_str(), access, &token] {
        refused_by(
            &town,
            "a forged one",
            &nobody.bearer(forged(good)),
            &behind,
            unknown,
        )
        .await;
        let basic = nobody.header("authorization", format!("Basic {good}"));
        refused_by(&town, "another scheme", &basic, &behind, unknown).await;
        let bare = nobody.header("authorization", good);
        refused_by(&town, "no scheme", &bare, &behind, unknown).await;
    }
    let wrong = (403, "accessDenied");
    for app in [&key, access] {
        refused_by(&town, "an app's", &nobody.bearer(app), &[Door::Me], wrong).await;
    }
    refused_by(
        &town,
        "the other app's key",
        &town.other_key,
        &[Door::Me],
        wrong,
    )
    .await;
    for user in [&town.ada, &town.bob, &town.other_ada] {
        refused_by(&town, "a user's", user, &[Door::Send, Door::Users], wrong).await;
    }
    assert_eq!(town.commits(), commits, "a refusal wrote something");
    town.finish(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_its_scope_says_alone() {
    let town = town().await;
    let before = town.seen().await;
    let app = beckon::model::AppHost::parse(APP).unwrap();
    let hub = &town.hub.running().hub;
    for (scope, door) in [
        (beckon::model::Scope::Send, Door::Users),
        (beckon::model::Scope::Users, Door::Send),
    ] {
        let key = hub.create_key(&app, None, scope).await.unwrap();
        let secret = key.secret.expose();
        let access = access_token(&town.hub, APP, secret).await.expect(200);
        for credential in [secret, access["access_token"].as_str().unwrap()] {
            let client = town.hub.client().bearer(credential);
            let who = format!("{scope:?}");
            refused_by(
                &town,
                &who,
                &client,
                &[door, Door::Me],
                (403, "accessDenied"),
            )
            .await;
        }
    }
    town.finish(&before).await;
}
