//! Push services that are down, slow or refuse everything: they hold up no other, are asked gently until they return,
//! and meet their backlog then.

use std::{
    net::IpAddr,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use beckon::{
    clock::Clock,
    config::apps::HostRule,
    doubles::{FaultKind, FaultSpec, NewDevice, Service},
    hub::admin::Request,
    push::Resolver,
};
use serde_json::{Value, json};

use crate::support::{TestDevice, TestHub, device::beckon_of, eventually, hub::Tell};

async fn people(hub: &TestHub, count: usize, service: Service) -> Vec<(String, TestDevice)> {
    let mut people = Vec::new();
    for nth in 0..count {
        let user = format!("{service:?}-{nth}");
        let device = hub.device(&user, service).await;
        people.push((user, device));
    }
    people
}

/// The word of the ladder for each person's one device.
async fn fates(hub: &TestHub, posts: &[(String, Value)]) -> Vec<String> {
    let mut fates = Vec::new();
    for (user, posted) in posts {
        let id = posted["id"].as_str().unwrap();
        let path = format!("/v1/users/{user}/notifications/{id}/deliveries");
        let it = hub.app().get(&path).await.expect(200)["value"][0].clone();
        fates.push(format!(
            "{} {}",
            it["status"].as_str().unwrap(),
            it["reason"].as_str().unwrap_or_default()
        ));
    }
    fates
}

async fn post_to_all(hub: &TestHub, people: &[(String, TestDevice)]) -> Vec<(String, Value)> {
    let mut posts = Vec::new();
    for (user, _) in people {
        posts.push((user.clone(), hub.post(user, "Lunch?").await));
    }
    posts
}

async fn metrics(hub: &TestHub) -> String {
    let answer = hub.client().get("/metrics").await;
    String::from_utf8(answer.body.to_vec()).unwrap()
}

async fn readiness(hub: &TestHub) -> Value {
    hub.client().get("/readyz").await.expect(200)["status"].clone()
}

async fn lanes(hub: &TestHub) -> Vec<Value> {
    let health = hub.running().hub.admin(Request::Health).await.unwrap();
    health["lanes"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_is_asked_gently_until_it_is_back_and_then_gets_all() {
    const PEOPLE: usize = 40;
    for service in Service::ALL {
        let hub = TestHub::with(Clock::manual(Clock::system().now()), |config| {
            // A lane has room for all of them.
            config.delivery.concurrency = 8;
        })
        .await;
        let mut people = people(&hub, PEOPLE, service).await;
        hub.doubles()
            .script(FaultSpec::always(service, FaultKind::HtmlError));
        let posts = post_to_all(&hub, &people).await;
        let waiting = |fates: &[String]| fates.iter().all(|fate| fate == "pending retry");
        eventually("all wait", || async {
            waiting(&fates(&hub, &posts).await).then_some(())
        })
        .await;
        // Five in a row open the circuit; a few were under way beside them.
        let asked = hub.doubles().counters(service).faulted;
        assert!(
            (5..=20).contains(&asked),
            "{service:?} was asked {asked} times"
        );
        let at_rest = lanes(&hub).await;
        assert_eq!(at_rest.len(), 1, "{at_rest:#?}");
        assert_eq!(at_rest[0]["status"], "failing", "{at_rest:#?}");
        assert_eq!(at_rest[0]["pushService"]["status"], 502, "{at_rest:#?}");
        assert_eq!(
            readiness(&hub).await,
            "ready",
            "it is no fault of the operator's"
        );

        is_asked_about_once_a_minute(&hub, service).await;
        hub.doubles().clear_faults();
        for (_, device) in &mut people {
            eventually("the tap, once the service is back", || async {
                hub.advance(Duration::from_secs(5));
                tokio::time::sleep(Duration::from_millis(5)).await;
                (device.unseen() > 0).then_some(())
            })
            .await;
            let handed = device.next_push("the tap").await;
            assert_eq!(beckon_of(&handed.push)["k"], "created");
        }
        assert_eq!(lanes(&hub).await.len(), 0, "{service:?} runs again");
        hub.finish().await;
    }
}

/// For half an hour, and not once a person.
async fn is_asked_about_once_a_minute(hub: &TestHub, service: Service) {
    let asked = hub.doubles().counters(service).faulted;
    let began = hub.clock.now();
    for _ in 0..60 {
        hub.advance(Duration::from_secs(30));
        eventually("all are held again", || async {
            let depth = hub.running().hub.store().reader().outbox_depth().ok()?;
            let now = hub.clock.now();
            let waits = depth.oldest_due.is_none_or(|oldest| oldest > now);
            // What found the lane full comes again in a moment.
            hub.advance(Duration::from_secs(u64::from(!waits)));
            waits.then_some(())
        })
        .await;
    }
    let asked = hub.doubles().counters(service).faulted - asked;
    let minutes = hub.clock.now().since(began).as_secs() / 60;
    assert!(
        (5..=2 * minutes + 10).contains(&asked),
        "{service:?} was asked {asked} times in {minutes} minutes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_settings_degrade_the_hub_are_tried_one_at_a_time_and_mend_with_a_reload() {
    let hub = TestHub::with(Clock::manual(Clock::system().now()), |config| {
        config.delivery.concurrency = 4;
    })
    .await;
    let people = people(&hub, 30, Service::Apns).await;
    hub.doubles().script(FaultSpec::always(
        Service::Apns,
        FaultKind::CredentialRefused,
    ));
    assert_eq!(readiness(&hub).await, "ready");
    let posts = post_to_all(&hub, &people).await;
    eventually("the lane stands still", || async {
        let fates = fates(&hub, &posts).await;
        let stopped = |fate: &String| fate == "pending serviceStopped";
        fates.iter().all(stopped).then_some(())
    })
    .await;
    assert_eq!(readiness(&hub).await, "degraded");
    let figures = metrics(&hub).await;
    let gauge = "beckon_lanes_at_rest{service=\"apns\",fault=\"stopped\"} 1";
    assert!(figures.contains(gauge), "{figures}");
    let counter = "beckon_pushes_total{service=\"apns\",outcome=\"misconfigured\"}";
    assert!(figures.contains(counter), "{figures}");
    let at_rest = lanes(&hub).await;
    assert_eq!(at_rest[0]["lane"], "production", "{at_rest:#?}");
    assert_eq!(
        at_rest[0]["pushService"]["reason"], "InvalidProviderToken",
        "{at_rest:#?}"
    );

    let asked = hub.doubles().counters(Service::Apns).faulted;
    assert!(asked <= 8, "{asked} pushes into refused settings");
    hub.advance(Duration::from_secs(65));
    eventually("it is tried again", || async {
        (hub.doubles().counters(Service::Apns).faulted > asked).then_some(())
    })
    .await;

    hub.doubles().clear_faults();
    hub.clock.advance(Duration::from_millis(1));
    let running = hub.running();
    let apps = running.hub.apps().all();
    let anew = apps
        .iter()
        .map(|app| std::sync::Arc::new(beckon::config::apps::App::clone(app)));
    running.reload(anew.collect()).await.unwrap();
    assert_eq!(readiness(&hub).await, "ready", "until it is refused anew");
    eventually("all are tapped", || async {
        hub.advance(Duration::from_secs(1));
        let fates = fates(&hub, &posts).await;
        fates
            .iter()
            .all(|fate| fate.starts_with("tapped"))
            .then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_stands_still_for_another_reason_by_now_says_since_when() {
    let hub = TestHub::at_a_standstill().await;
    let people = people(&hub, 8, Service::Apns).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Apns, FaultKind::HtmlError));
    post_to_all(&hub, &people).await;
    let at_rest = async |status: &str| {
        let lane = lanes(&hub).await.pop()?;
        (lane["status"] == status).then_some(lane)
    };
    let failing = eventually("it fails", || at_rest("failing")).await;
    hub.settled().await;
    hub.doubles().clear_faults();
    hub.doubles().script(FaultSpec::always(
        Service::Apns,
        FaultKind::CredentialRefused,
    ));
    let stopped = eventually("the settings are refused", || async {
        hub.advance(Duration::from_secs(1));
        at_rest("stopped").await
    })
    .await;
    assert_eq!(stopped["since"], failing["since"], "{stopped:#}");
    let said = &stopped["pushService"];
    assert_eq!(said["reason"], "InvalidProviderToken", "{stopped:#}");
    let (since, at) = (stopped["since"].as_str(), said["dateTime"].as_str());
    assert!(since < at, "{stopped:#}");
    hub.finish().await;
}

/// Apple takes one push at a time until it has taken a credential.
#[tokio::test(flavor = "multi_thread")]
async fn those_that_waited_for_one_whose_credential_is_refused_do_not_leave() {
    let hub = TestHub::at_a_standstill().await;
    let people = people(&hub, 20, Service::Apns).await;
    hub.doubles().script(FaultSpec {
        delay_ms: Some(500),
        ..FaultSpec::always(Service::Apns, FaultKind::CredentialRefused)
    });
    let posts = post_to_all(&hub, &people).await;
    hub.settled().await;
    for _ in 0..30 {
        hub.advance(Duration::from_secs(1));
        hub.settled().await;
    }
    assert_eq!(hub.doubles().counters(Service::Apns).requests, 1);
    let fates = fates(&hub, &posts).await;
    let stopped = |fate: &String| fate == "pending serviceStopped";
    assert!(fates.iter().all(stopped), "{fates:?}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_taken_up_again_keeps_nobody_waiting() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut proven = hub.device("ada", Service::Apns).await;
    hub.post("ada", "before").await;
    proven.next_push("the tap").await;
    hub.settled().await;
    let people = people(&hub, 10, Service::Apns).await;
    hub.restart().await;
    hub.doubles()
        .script(FaultSpec::once(Service::Apns, FaultKind::CredentialRefused));
    let posts = post_to_all(&hub, &people).await;
    let all_are = |expected: &'static str| {
        let (hub, posts) = (&hub, &posts);
        eventually(expected, move || async move {
            let fates = fates(hub, posts).await;
            fates.iter().all(|fate| fate == expected).then_some(())
        })
    };
    all_are("pending serviceStopped").await;
    assert_eq!(readiness(&hub).await, "degraded");
    hub.advance(Duration::from_secs(2));
    hub.post("ada", "after").await;
    proven.next_push("the tap that the service takes").await;
    all_are("tapped ").await;
    assert_eq!(readiness(&hub).await, "ready");
    // Of one alone that is refused it is not said that all stand still.
    hub.doubles().script(FaultSpec {
        device: Some(people[0].1.device.id.clone()),
        ..FaultSpec::always(Service::Apns, FaultKind::CredentialRefused)
    });
    hub.advance(Duration::from_secs(2));
    let posts = post_to_all(&hub, &people[..1]).await;
    let path = format!(
        "/v1/users/{}/notifications/{}/deliveries",
        posts[0].0,
        posts[0].1["id"].as_str().unwrap()
    );
    let alone = "a tap that was tried once: the push service refuses the hub's settings for this push, though it has taken others by them (APNs answered 403 InvalidProviderToken); next attempt at ";
    eventually("that it is refused alone is told", || async {
        let it = hub.app().get(&path).await.expect(200)["value"][0].clone();
        let told = it["explanation"].as_str().unwrap().contains(alone);
        (told && it["reason"] == "serviceStopped").then_some(())
    })
    .await;
    assert_eq!(readiness(&hub).await, "ready");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_taps_for_a_silent_service_leave_room_for_those_of_another() {
    leave_room(FaultSpec::always(Service::Fcm, FaultKind::Silence)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_taps_for_a_service_that_is_not_fast_leave_room_for_those_of_another() {
    leave_room(FaultSpec {
        delay_ms: Some(600),
        ..FaultSpec::always(Service::Fcm, FaultKind::Slow)
    })
    .await;
}

async fn leave_room(fault: FaultSpec) {
    let hub = TestHub::with(Clock::system(), |config| {
        // Eight taps wait in a lane then, and 64 people are looked at at a time.
        config.delivery.concurrency = 1;
    })
    .await;
    let silent = people(&hub, 150, Service::Fcm).await;
    let mut other = hub.device("ada", Service::WebPush).await;
    hub.doubles().script(fault);
    post_to_all(&hub, &silent).await;
    // By now that lane is full, and so would be the dispatcher if it kept all of them.
    for _ in 0..3 {
        let began = Instant::now();
        hub.post("ada", "Lunch?").await;
        other.next_push("the tap through another service").await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "it took {took:?}");
        other.pull().await;
    }
    hub.doubles().clear_faults();
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_a_lane_full_is_tapped_once_in_the_end() {
    for delay in [0, 30] {
        let hub = TestHub::with(Clock::manual(Clock::system().now()), |config| {
            // Eight taps wait in a lane then, as many people for it, and the rest are put off.
            config.delivery.concurrency = 1;
        })
        .await;
        let mut people = people(&hub, 60, Service::Fcm).await;
        hub.doubles().script(FaultSpec {
            delay_ms: Some(delay),
            ..FaultSpec::always(Service::Fcm, FaultKind::Slow)
        });
        let posts = people
            .iter()
            .map(|(user, _)| async { hub.post(user, "Lunch?").await });
        futures_util::future::join_all(posts).await;
        for (user, device) in &mut people {
            let tapped = || time_passes_until_tapped(&hub, device);
            eventually(&format!("the tap of {user}"), tapped).await;
            device.next_push("the tap").await;
        }
        hub.settled().await;
        assert!(people.iter().all(|(_, device)| device.unseen() == 0));
        hub.finish().await;
    }
}

/// More than the dispatcher has in hand at a time.
#[tokio::test(flavor = "multi_thread")]
async fn however_many_were_held_all_are_taken_up_when_their_lane_is() {
    let mut hub = TestHub::with(Clock::system(), |config| {
        config.delivery.concurrency = 1;
    })
    .await;
    let mut proven = hub.device("ada", Service::Fcm).await;
    hub.post("ada", "before").await;
    proven.next_push("the tap").await;
    hub.settled().await;
    let people = people(&hub, 700, Service::Fcm).await;
    hub.restart().await;
    hub.doubles().script(FaultSpec::always(
        Service::Fcm,
        FaultKind::CredentialRefused,
    ));
    post_to_all(&hub, &people).await;
    hub.settled().await;
    assert_eq!(readiness(&hub).await, "degraded");
    hub.doubles().clear_faults();
    hub.post("ada", "after").await;
    // Within the deadline, which is far less than the minute that they were put off for.
    eventually("all are tapped", || {
        let all = people.iter().all(|(_, device)| device.unseen() > 0);
        std::future::ready(all.then_some(()))
    })
    .await;
    hub.finish().await;
}

/// Lets a second pass, but not while a push is on its way: its time would be up.
async fn time_passes_until_tapped(hub: &TestHub, device: &TestDevice) -> Option<()> {
    hub.settled().await;
    let tapped = device.unseen() > 0;
    hub.advance(Duration::from_secs(u64::from(!tapped)));
    tapped.then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_for_one_goes_before_what_a_broadcast_tells_many() {
    let hub = TestHub::with(Clock::system(), |config| {
        // One push at a time, and eight that wait for it.
        config.delivery.concurrency = 1;
    })
    .await;
    let many = people(&hub, 40, Service::Fcm).await;
    let mut one = hub.device("ada", Service::Fcm).await;
    hub.doubles().script(FaultSpec {
        delay_ms: Some(250),
        ..FaultSpec::always(Service::Fcm, FaultKind::Slow)
    });
    let users: Vec<&String> = many.iter().map(|(user, _)| user).collect();
    let news = json!({"priority": "High", "payload": {"rawContent": "news"}});
    let body = json!({"audience": {"users": users}, "notification": news});
    let job = hub.app().post("/v1/notifications", body).await.expect(202);
    let job = format!("/v1/notifications/{}", job["id"].as_str().unwrap());
    let told = || {
        many.iter()
            .filter(|(_, device)| device.unseen() > 0)
            .count()
    };
    eventually("many wait at the lane", || async {
        let job = hub.app().get(&job).await.expect(200);
        (job["status"] == "completed" && told() > 1).then_some(())
    })
    .await;
    let before = told();
    hub.post("ada", "Fire!").await;
    one.next_push("what is urgent").await;
    let (after, waited) = (told(), many.len() - told());
    assert!(waited > 9, "only {waited} were still to be told");
    assert!(after - before < 5, "{} went before", after - before);
    hub.doubles().clear_faults();
    hub.finish().await;
}

/// Whether the name server keeps everyone waiting.
static SILENT: Mutex<bool> = Mutex::new(true);
static ANSWERS: Condvar = Condvar::new();
/// How many names it was asked for.
static ASKED: AtomicUsize = AtomicUsize::new(0);

fn a_silent_name_server(_: &str) -> Vec<IpAddr> {
    ASKED.fetch_add(1, Ordering::SeqCst);
    let silent = SILENT.lock().unwrap();
    drop(ANSWERS.wait_while(silent, |silent| *silent));
    Vec::new()
}

/// A channel like this one, at a name that was never given before.
fn at_a_new_name(channel: String) -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    let nth = NAMES.fetch_add(1, Ordering::SeqCst);
    let (before, url) = channel.split_once("https://").unwrap();
    let (_, path) = url.split_once('/').unwrap();
    format!("{before}https://n{nth}.push.services.mozilla.com/{path}")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_names_many_hosts_leaves_the_others_lanes_of_their_own() {
    // Ports at which no push service is.
    const NOWHERE: std::ops::Range<u16> = 101..141;
    let hub = TestHub::with(Clock::system(), |config| {
        for app in &mut config.apps {
            let wns = Arc::make_mut(app).wns.as_mut().unwrap();
            let rules = NOWHERE.map(|port| HostRule::parse(&format!("127.0.0.1:{port}")).unwrap());
            Arc::get_mut(wns).unwrap().allowed_hosts.extend(rules);
        }
    })
    .await;
    for port in NOWHERE {
        let name = format!("machine-{port}");
        let channel =
            json!({"type": "wns", "channelUri": format!("https://127.0.0.1:{port}/?token=t")});
        let mallory = hub.person("mallory", Some(&name)).await;
        let path = format!("/v1/me/endpoints/{name}");
        mallory
            .put(&path, json!({"channel": channel}))
            .await
            .expect(201);
    }
    let posted = hub.post("mallory", "Lunch?").await;
    let path = format!(
        "/v1/users/mallory/notifications/{}/deliveries",
        posted["id"].as_str().unwrap()
    );
    eventually("each of the hosts was tried", || async {
        let report = hub.app().get(&path).await.expect(200);
        let lines = report["value"].as_array().unwrap();
        let tried = |line: &Value| line["attempts"].as_u64() > Some(0);
        lines.iter().all(tried).then_some(())
    })
    .await;
    hub.doubles()
        .script(FaultSpec::always(Service::Wns, FaultKind::Silence));
    let people = people(&hub, 12, Service::Wns).await;
    post_to_all(&hub, &people).await;
    eventually("all of them are under way at once", || async {
        (hub.doubles().counters(Service::Wns).faulted >= 12).then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn name_servers_that_keep_silent_hold_up_nobody_else() {
    let tell = Tell {
        resolver: || Resolver::Function(Arc::new(a_silent_name_server)),
        ..Tell::default()
    };
    let mut hub = TestHub::told(tempfile::tempdir().unwrap(), Clock::system(), tell).await;
    let mut phone = hub.device("ada", Service::Apns).await;
    const NAMES: usize = 20;
    for _ in 0..NAMES {
        let device = NewDevice::of(Service::WebPush);
        let device = hub.doubles().add_device(device).unwrap();
        let it = (
            Service::WebPush,
            device,
            at_a_new_name as fn(String) -> String,
        );
        TestDevice::register_at(&hub, "bob", it).await;
    }
    hub.post("bob", "Lunch?").await;
    eventually("all names are being looked up", || async {
        (ASKED.load(Ordering::SeqCst) >= NAMES).then_some(())
    })
    .await;
    let began = Instant::now();
    hub.post("ada", "Lunch?").await;
    phone
        .next_push("the tap at an address that needs no look-up")
        .await;
    hub.stop().await;
    let took = began.elapsed();
    *SILENT.lock().unwrap() = false;
    ANSWERS.notify_all();
    assert!(took < Duration::from_secs(4), "it took {took:?}");
    hub.start_again().await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_has_its_count() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.delivery.retry_base = Duration::from_millis(20);
    })
    .await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    hub.post("ada", "One").await;
    phone.next_push("the first").await;
    hub.doubles().revoke_access_tokens();
    hub.post("ada", "Two").await;
    phone.next_push("the second, by a new token").await;
    hub.doubles()
        .script(FaultSpec::once(Service::Fcm, FaultKind::ServerError));
    hub.post("ada", "Three").await;
    phone.next_push("the third, at the second attempt").await;
    hub.doubles()
        .script(FaultSpec::once(Service::Fcm, FaultKind::Redirect));
    hub.post("ada", "Four").await;
    eventually("what is wrong is counted", || async {
        metrics(&hub)
            .await
            .contains("outcome=\"rejected\"} 1")
            .then_some(())
    })
    .await;
    hub.doubles()
        .script(FaultSpec::once(Service::Fcm, FaultKind::Gone));
    hub.post("ada", "Five").await;
    eventually("what is gone is counted", || async {
        metrics(&hub)
            .await
            .contains("outcome=\"gone\"} 1")
            .then_some(())
    })
    .await;
    let figures = metrics(&hub).await;
    for (outcome, count) in [
        ("accepted", 3),
        ("refreshed", 1),
        ("retry", 1),
        ("rejected", 1),
        ("gone", 1),
    ] {
        let line = format!("beckon_pushes_total{{service=\"fcm\",outcome=\"{outcome}\"}} {count}");
        assert!(figures.contains(&line), "{line} is not in\n{figures}");
    }
    hub.finish().await;
}

/// The service wants to be left alone by everyone, once.
async fn is_told_to_wait(hub: &TestHub, service: Service) {
    hub.doubles().script(FaultSpec {
        retry_after_seconds: Some(300),
        ..FaultSpec::once(service, FaultKind::Throttled)
    });
    let user = format!("{service:?}-0");
    let posts = [(user.clone(), hub.post(&user, "Lunch?").await)];
    eventually("the service has demanded a wait", || async {
        let at_rest = lanes(hub).await;
        let waits = fates(hub, &posts).await == ["pending retry"];
        (waits && at_rest.iter().any(|lane| lane["status"] == "throttled")).then_some(())
    })
    .await;
}

/// What becomes of a post to somebody whom no push was tried to, until one leaves or waits.
async fn next_fate(hub: &TestHub, user: &str) -> String {
    let posts = [(user.to_owned(), hub.post(user, "Lunch?").await)];
    eventually("it leaves or waits", || async {
        let fate = fates(hub, &posts).await.remove(0);
        (fate != "pending coalescing").then_some(fate)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_a_service_demands_of_everyone_outlasts_reloads_and_restarts() {
    for service in [Service::Fcm, Service::Wns] {
        let mut hub = TestHub::at_a_standstill().await;
        let people = people(&hub, 4, service).await;
        is_told_to_wait(&hub, service).await;
        let name = |nth: usize| format!("{service:?}-{nth}");
        assert_eq!(next_fate(&hub, &name(1)).await, "pending retry");
        hub.reload(|doubles| doubles.settings().app_toml()).await;
        let fate = next_fate(&hub, &name(2)).await;
        assert_eq!(fate, "pending retry", "{service:?} after a reload");
        assert_eq!(lanes(&hub).await[0]["status"], "throttled", "{service:?}");
        hub.restart().await;
        let fate = next_fate(&hub, &name(3)).await;
        assert_eq!(fate, "pending retry", "{service:?} after a restart");
        assert_eq!(lanes(&hub).await[0]["status"], "throttled", "{service:?}");
        let was_left_alone = people.iter().all(|(_, device)| device.unseen() == 0);
        assert!(was_left_alone, "{service:?}");
        for (_, device) in &people {
            eventually("the tap, once the wait is over", || async {
                hub.advance(Duration::from_secs(20));
                tokio::time::sleep(Duration::from_millis(5)).await;
                (device.unseen() > 0).then_some(())
            })
            .await;
        }
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_owe_nothing_to_what_was_demanded_before() {
    let mut hub = TestHub::at_a_standstill().await;
    people(&hub, 2, Service::Fcm).await;
    is_told_to_wait(&hub, Service::Fcm).await;
    hub.reload(|doubles| {
        let services = doubles.settings().app_toml();
        services.replace("[app.fcm]\n", "[app.fcm]\nchannel_id = \"other\"\n")
    })
    .await;
    let fate = next_fate(&hub, "Fcm-1").await;
    assert!(fate.starts_with("tapped"), "{fate}");
    hub.finish().await;
}
