//! History and changes: filters, pages, cursors.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DAY, POST, commits, contents, named, raw, small_hub, text};
use crate::support::{Client, TestHub, device::token_of, eventually};

const DELTA: &str = "/v1/me/notifications/delta";

/// Posts with a group, and sets the states of what was posted.
async fn furnished(hub: &TestHub, ada: &Client) {
    for (name, group, state) in [
        ("a", "work", json!(null)),
        ("b", "work", json!({"readState": "read"})),
        ("c", "home", json!({"userActionState": "dismissed"})),
        (
            "d",
            "home",
            json!({"readState": "read", "userActionState": "activated"}),
        ),
        ("e", "", json!({"userActionState": "snoozed"})),
    ] {
        let body = json!({"groupName": group, "payload": {"rawContent": name}});
        let posted = hub.app().post(POST, body).await.expect(201);
        if !state.is_null() {
            let path = format!("/v1/me/notifications/{}", text(&posted["id"]));
            ada.patch(&path, state).await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_newest_first_and_filters_hold_together() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    furnished(&hub, &ada).await;
    let check = async |query: &str, expected: &[&str]| {
        for (client, path) in [(&ada, "/v1/me/notifications"), (&hub.app(), POST)] {
            let page = client.get(&format!("{path}?{query}")).await.expect(200);
            assert_eq!(contents(&page), expected, "{query}");
            assert_eq!(
                page["unreadCount"], 3,
                "whatever the filter: {query}: {page}"
            );
            assert_eq!(page["@odata.nextLink"], Value::Null, "{query}: {page}");
        }
    };
    check("", &["e", "d", "c", "b", "a"]).await;
    check("readState=unread", &["e", "c", "a"]).await;
    check("readState=READ", &["d", "b"]).await;
    check("userActionState=NOINTERACTION", &["b", "a"]).await;
    check("userActionState=dismissed", &["c"]).await;
    check("userActionState=activated&readState=read", &["d"]).await;
    check("userActionState=activated&readState=unread", &[]).await;
    check("groupName=work", &["b", "a"]).await;
    check("groupName=WORK", &[]).await;
    check("groupName=home&readState=unread", &["c"]).await;
    check("%24top=5", &["e", "d", "c", "b", "a"]).await;
    check("unknown=1&groupName=work", &["b", "a"]).await;
    hub.finish().await;
}

/// Follows the next links of a list; what each page held.
async fn pages(client: &Client, path: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut path = path.to_owned();
    loop {
        let page = client.get(&path).await.expect(200);
        found.push(contents(&page));
        let Some(next) = page["@odata.nextLink"].as_str() else {
            return found;
        };
        let origin = format!("http://{}", client.addr);
        path = next
            .strip_prefix(&origin)
            .unwrap_or_else(|| panic!("no absolute link: {next}"))
            .to_owned();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_comes_in_pages_that_keep_the_filter() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    furnished(&hub, &ada).await;
    for (client, path) in [(&ada, "/v1/me/notifications"), (&hub.app(), POST)] {
        let all = pages(client, &format!("{path}?$top=2")).await;
        assert_eq!(all, [vec!["e", "d"], vec!["c", "b"], vec!["a"]], "{path}");
        let some = pages(client, &format!("{path}?readState=unread&$top=2")).await;
        assert_eq!(some, [vec!["e", "c"], vec!["a"]], "{path}");
        let even = pages(client, &format!("{path}?groupName=work&$top=2")).await;
        assert_eq!(even, [vec!["b", "a"]], "no link to an empty page: {path}");
    }
    let first = ada.get("/v1/me/notifications?$top=2").await.expect(200);
    let token = token_of(first["@odata.nextLink"].as_str().unwrap());
    hub.app().post(POST, raw("f")).await.expect(201);
    let second = ada
        .get(&format!("/v1/me/notifications?$top=2&$skiptoken={token}"))
        .await
        .expect(200);
    assert_eq!(
        contents(&second),
        ["c", "b"],
        "what is posted meanwhile moves no page"
    );
    let cursor = ada.get(DELTA).await.expect(200);
    let cursor = token_of(cursor["@odata.deltaLink"].as_str().unwrap());
    let mixed = ada
        .get(&format!("/v1/me/notifications?$skiptoken={cursor}"))
        .await;
    assert_eq!(mixed.faults(), ["$skiptoken"], "a cursor is no page token");
    let mixed = ada.get(&format!("{DELTA}?$deltatoken={token}")).await;
    assert_eq!(
        mixed.refused(410),
        "syncStateNotFound",
        "nor the other way round"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_once_each_in_their_newest_state() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let since = async |page: &Value| {
        let link = page["@odata.deltaLink"].as_str().unwrap();
        ada.get(&format!("{DELTA}?$deltatoken={}", token_of(link)))
            .await
            .expect(200)
    };
    let empty = ada.get(DELTA).await.expect(200);
    assert_eq!(contents(&empty), Vec::<String>::new());
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        ids.push(text(
            &hub.app().post(POST, named(name, name)).await.expect(201)["id"],
        ));
    }
    assert_eq!(
        pages(&ada, &format!("{DELTA}?$top=2")).await,
        [vec!["a", "b"], vec!["c", "d"], vec!["e"]]
    );
    let whole = since(&empty).await;
    assert_eq!(
        contents(&whole),
        ["a", "b", "c", "d", "e"],
        "the first cursor was before all of them"
    );
    let one = |nth: usize| format!("/v1/me/notifications/{}", ids[nth]);
    ada.patch(&one(1), json!({"readState": "read"}))
        .await
        .expect(200);
    ada.patch(&one(1), json!({"userActionState": "dismissed"}))
        .await
        .expect(200);
    ada.delete(&one(0)).await.expect(204);
    hub.app().post(POST, named("c", "c2")).await.expect(200);
    let changes = since(&whole).await;
    assert_eq!(contents(&changes), ["b", "deleted", "c2"], "{changes}");
    assert_eq!(changes["value"][0]["readState"], "read", "{changes}");
    assert_eq!(
        changes["value"][0]["userActionState"], "dismissed",
        "{changes}"
    );
    assert_eq!(
        changes["value"][1],
        json!({"id": ids[0], "@removed": {"reason": "deleted"}})
    );
    assert_eq!(contents(&since(&changes).await), Vec::<String>::new());
    assert_eq!(
        contents(&since(&whole).await),
        contents(&changes),
        "a cursor may be used again"
    );
    let fresh = ada.get(DELTA).await.expect(200);
    assert_eq!(
        contents(&fresh),
        ["d", "e", "b", "c2"],
        "who begins anew hears of no removal"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expired_is_served_no_more_and_said_to_be_removed() {
    let hub = TestHub::at_a_standstill().await;
    let ada = hub.person("ada", None).await;
    let soon = hub.clock.now().plus(Duration::from_secs(60)).to_string();
    let body = json!({"expirationDateTime": soon, "payload": {"rawContent": "short"}});
    let short = text(&hub.app().post(POST, body).await.expect(201)["id"]);
    hub.app().post(POST, raw("long")).await.expect(201);
    let cursor = ada.get(DELTA).await.expect(200);
    let path = format!(
        "{DELTA}?$deltatoken={}",
        token_of(cursor["@odata.deltaLink"].as_str().unwrap())
    );
    hub.advance(Duration::from_millis(59_999));
    assert_eq!(
        contents(&ada.get("/v1/me/notifications").await.expect(200)),
        ["long", "short"]
    );
    hub.advance(Duration::from_millis(1));
    assert_eq!(
        contents(&ada.get("/v1/me/notifications").await.expect(200)),
        ["long"]
    );
    assert_eq!(contents(&ada.get(DELTA).await.expect(200)), ["long"]);
    let one = format!("/v1/me/notifications/{short}");
    assert_eq!(ada.get(&one).await.refused(404), "itemNotFound");
    assert_eq!(
        ada.patch(&one, json!({"readState": "read"}))
            .await
            .refused(404),
        "itemNotFound"
    );
    assert_eq!(ada.delete(&one).await.refused(404), "itemNotFound");
    let changes = eventually("the expiry is in the feed", || async {
        let page = ada.get(&path).await.expect(200);
        (!contents(&page).is_empty()).then_some(page)
    })
    .await;
    assert_eq!(
        changes["value"],
        json!([{"id": short, "@removed": {"reason": "expired"}}])
    );
    assert_eq!(
        ada.get("/v1/me/notifications").await.expect(200)["unreadCount"],
        1
    );
    hub.advance(7 * DAY);
    let over = eventually("the other expired too", || async {
        let page = hub.person("ada", None).await.get(DELTA).await.expect(200);
        contents(&page).is_empty().then_some(page)
    })
    .await;
    assert!(over["@odata.deltaLink"].is_string(), "{over}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_the_feed_reaches_back_to_no_more_is_410_everywhere() {
    let hub = small_hub::<2>().await;
    let ada = hub.registered("ada", "phone").await;
    let start = ada.get(DELTA).await.expect(200);
    let stale = token_of(start["@odata.deltaLink"].as_str().unwrap());
    let delta = format!("{DELTA}?$deltatoken={stale}");
    for nth in 0..4 {
        let posted = hub
            .app()
            .post(POST, raw(&nth.to_string()))
            .await
            .expect(201);
        if nth == 1 {
            ada.get(&delta).await.expect(200);
        }
        hub.app()
            .delete(&format!("{POST}/{}", text(&posted["id"])))
            .await
            .expect(204);
    }
    let left = text(&hub.app().post(POST, raw("left")).await.expect(201)["id"]);
    hub.settled().await;
    let before = commits(&hub);
    let at = |path: &str| format!("/v1/me/notifications{path}");
    let set = json!({"readState": "read"});
    let answers = [
        ada.get(&delta).await,
        ada.get(&at(&format!("/stream?$deltatoken={stale}"))).await,
        ada.header("last-event-id", &stale)
            .get(&at("/stream"))
            .await,
        ada.post(&at("/stream/ticket"), json!({"deltaToken": stale}))
            .await,
        ada.post(
            &at("/state"),
            json!({"all": true, "upTo": stale, "set": set}),
        )
        .await,
        ada.post(&at("/receipts"), json!({"upTo": stale, "shown": [left]}))
            .await,
        ada.patch(
            &at(&format!("/{left}")),
            json!({"readState": "read", "upTo": stale}),
        )
        .await,
        ada.get(&format!("{DELTA}?$deltatoken=invented")).await,
        ada.get(&format!("{DELTA}?$deltatoken=")).await,
    ];
    for answer in answers {
        assert_eq!(answer.refused(410), "syncStateNotFound", "{answer:?}");
    }
    assert_eq!(commits(&hub), before, "a refused request wrote something");
    let anew = ada.get(DELTA).await.expect(200);
    assert_eq!(contents(&anew), ["left"], "it starts over without one");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_known_with_empty_lists() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    let history = hub
        .app()
        .get("/v1/users/nobody/notifications")
        .await
        .expect(200);
    assert_eq!(history, json!({"value": [], "unreadCount": 0}));
    let endpoints = hub
        .app()
        .get("/v1/users/nobody/endpoints")
        .await
        .expect(200);
    assert_eq!(endpoints, json!({"value": []}));
    assert_eq!(commits(&hub), before, "a question makes no one known");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_where_it_holds_much_however_many_were_asked_for() {
    let hub = TestHub::start().await;
    let ada = hub.registered("ada", "phone").await;
    for _ in 0..25 {
        let body = raw(&"x".repeat(30_000));
        hub.app().post(POST, body.clone()).await.expect(201);
        hub.app().post(POST, body).await.expect(201);
    }
    for path in ["/v1/me/notifications", "/v1/me/notifications/delta"] {
        let pages = pages(&ada, &format!("{path}?$top=1000")).await;
        let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 50, "{path}: {sizes:?}");
        assert_eq!(sizes[0], (1 << 20) / 30_000, "{path}: {sizes:?}");
    }
    hub.finish().await;
}
