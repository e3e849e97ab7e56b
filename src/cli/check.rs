//! `check`: what would stop the hub or its pushes, found before it does. No device is reached.

use std::{process::ExitCode, sync::Arc};

use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use super::{CommandContext, door::Door, output};
use crate::{
    clock::Clock,
    config::{Apps, Certificate, Config, Delivery, Facts, Limits, apps::App},
    dispatch::{self, VapidKeys},
    hub::{DROPS, Hub, admin::Request},
    identity::Identities,
    model::{ApnsEnvironment, AppHost, ChannelKind, Timestamp},
    store::{self, Store},
};

/// One line of the result.
#[derive(Debug)]
struct Finding {
    /// What was looked at: `config`, `store`, an app and one of its services, or a lane of the running hub.
    subject: Subject,
    /// What is good about it, or what is wrong and what to do.
    found: Result<String, String>,
}

#[derive(Debug)]
enum Subject {
    Config,
    Store,
    Service(Arc<App>, ChannelKind),
    /// An app's own identity provider.
    Identity(AppHost),
    /// Of the running hub: app, service, and what tells it apart.
    Lane(String, String, String),
}

/// Runs `beckon check`; its exit code is 1 if anything fails.
pub(super) async fn run(context: &CommandContext) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    match context.config() {
        Ok(config) => {
            findings.push(Finding {
                subject: Subject::Config,
                found: Ok(summary(&config)),
            });
            findings.extend(certificate(&config, Clock::system().now()));
            findings.extend(store_and_lanes(&config).await);
            findings.extend(services(&config).await);
            findings.extend(identities(&config).await);
        }
        Err(error) => findings.push(Finding {
            subject: Subject::Config,
            found: Err(error.to_string()),
        }),
    }
    let values: Vec<Value> = findings.iter().map(Finding::value).collect();
    let list = json!({ "value": values });
    context.output.show(&list, |_| {
        let lines: Vec<String> = findings.iter().map(Finding::line).collect();
        lines.join("\n")
    })?;
    let all_good = findings.iter().all(|finding| finding.found.is_ok());
    Ok(if all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// When the listener's certificate ends, and what its clients may have against it.
fn certificate(config: &Config, now: Timestamp) -> Vec<Finding> {
    let Some(facts) = config.server.tls.as_ref().map(|it| it.facts) else {
        return Vec::new();
    };
    let anew = "put a new one into the files of [server.tls] and send the hub SIGHUP";
    let lasts = match facts {
        Facts { expires, .. } if expires <= now => Err(format!(
            "the listener's certificate is over since {expires}; {anew}"
        )),
        Facts { begins, .. } if begins > now => Err(format!(
            "the listener's certificate is not valid before {begins}; see that the machine's time is right, or {anew}"
        )),
        Facts { expires, .. } if expires.since(now) < Certificate::NEAR_ITS_END => Err(format!(
            "the listener's certificate ends on {expires}; {anew}"
        )),
        Facts { expires, .. } => Ok(format!("the listener's certificate ends on {expires}")),
    };
    let astray = facts.astray.map(|place| Err(format!(
        "the chain of the listener's certificate is not in order: number {place} in server.tls.cert_file did not sign the one before it, so that \
         clients may refuse it; put the hub's own first, then each that signed the one before, and send the hub SIGHUP"
    )));
    let findings = [Some(lasts), astray].into_iter().flatten();
    findings
        .map(|found| Finding {
            subject: Subject::Config,
            found,
        })
        .collect()
}

fn summary(config: &Config) -> String {
    let hosts: Vec<&str> = config.apps.iter().map(|app| app.host.as_str()).collect();
    if hosts.is_empty() {
        return "loads, without any app; beckon init HOST writes one with an app".to_owned();
    }
    format!("loads; apps: {}", hosts.join(", "))
}

/// Whether the hub runs, or its store can be opened; and what is amiss with a running one: its store, its clock, lanes
/// that stand still.
async fn store_and_lanes(config: &Config) -> Vec<Finding> {
    let looked = store(config).await;
    let (found, health) = match looked {
        Ok((text, health)) => (Ok(text), health),
        Err(error) => (Err(format!("{error:#}")), Value::Null),
    };
    let mut findings = vec![Finding {
        subject: Subject::Store,
        found,
    }];
    findings.extend(amiss(&health).map(|message| Finding {
        subject: Subject::Store,
        found: Err(message),
    }));
    let lanes = health["lanes"].as_array().into_iter().flatten();
    findings.extend(lanes.map(lane));
    findings
}

/// What is amiss with the store of a running hub, or its clock.
fn amiss(health: &Value) -> impl Iterator<Item = String> {
    let told = [
        (
            "storeFull",
            "the disk is nearly full, so what is new is refused with 503; make room on it, or lower store.min_free_bytes",
        ),
        (
            "storeDamaged",
            "a part of the store could not be read; `beckon store verify` with the hub stopped says whether all of it can be, else `beckon store restore` puts a backup in its place",
        ),
        (
            "storeDisagrees",
            "rows of the store disagree or cannot be read; `beckon store verify` names them, and `beckon store restore` puts the last backup in its place",
        ),
    ];
    let told = told
        .into_iter()
        .filter(|(member, _)| health[*member] == true);
    let doubted = health["clockDoubtedUntilDateTime"].as_str().map(|until| {
        format!("the clock has leapt and is doubted until {until}; nothing expires before. See that the machine's time is right")
    });
    told.map(|(_, text)| text.to_owned()).chain(doubted)
}

/// One that is not there yet is not made.
async fn store(config: &Config) -> anyhow::Result<(String, Value)> {
    let folder = config.store.path.display();
    if !store::exists(&config.store.path) {
        let text = format!("not there yet; the first start makes it in {folder}");
        return Ok((text, Value::Null));
    }
    let door = Door::open(config).await?;
    let running = door.is_running();
    let health = door.ask(Request::Health).await;
    door.close().await;
    let health = health?;
    if !running {
        let text = format!("the one in {folder} opens; the hub is stopped");
        return Ok((text, Value::Null));
    }
    let text = match unknown_apps(config, &health) {
        apps if apps.is_empty() => format!("the hub runs on {folder}"),
        apps => format!(
            "the hub runs on {folder}; it learns of {} with SIGHUP",
            apps.join(", ")
        ),
    };
    Ok((text, health))
}

/// What a lane that stands still says, in the service's words.
fn lane(lane: &Value) -> Finding {
    let text = |at: &str| lane.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let status = lane["pushService"]["status"].as_u64().unwrap_or_default();
    let said = match (status, text("/pushService/reason")) {
        (0, reason) => reason.to_owned(),
        (status, reason) => format!("{status} {reason}"),
    };
    let (since, until) = (text("/since"), text("/nextAttemptDateTime"));
    // Something else may have stood in the way before.
    let because = match text("/pushService/dateTime") {
        at if at == since => format!(": {said}"),
        "" => format!(". What stands in the way: {said}"),
        at => format!(". What stands in the way, as seen at {at}: {said}"),
    };
    let remedy = match text("/status") {
        "stopped" => String::from("mend the settings, then send the hub SIGHUP"),
        "guarded" => format!(
            "{DROPS} channels in a row were called dead without one success, so no more are dropped. See that credentials and topics are right, send the hub SIGHUP, and bring back what was dropped with `beckon endpoint revive`"
        ),
        "failing" => {
            String::from("it does not answer as it should; see that this machine can reach it")
        }
        _ => String::from("it wants to be left alone"),
    };
    let message = format!(
        "the running hub sends nothing there since {since}{because}; {remedy}. It is tried again at {until}"
    );
    Finding {
        subject: Subject::Lane(
            text("/app").to_owned(),
            text("/service").to_owned(),
            text("/lane").to_owned(),
        ),
        found: Err(message),
    }
}

/// The apps of the config that a running hub has not read yet.
fn unknown_apps<'a>(config: &'a Config, health: &Value) -> Vec<&'a str> {
    let known = health["apps"].as_array().map_or(&[][..], Vec::as_slice);
    let hosts = config.apps.iter().map(|app| app.host.as_str());
    hosts
        .filter(|host| !known.iter().any(|app| app["host"] == *host))
        .collect()
}

/// Asks every service of every app at the same time.
async fn services(config: &Config) -> Vec<Finding> {
    let configured = config.apps.iter().flat_map(|app| {
        let kinds = ChannelKind::SERVICES
            .into_iter()
            .filter(|kind| app.reaches(*kind));
        kinds.map(move |kind| (Arc::clone(app), kind))
    });
    join_all(configured.map(|(app, kind)| async move {
        let found = service(&app, kind).await;
        Finding {
            subject: Subject::Service(app, kind),
            found,
        }
    }))
    .await
}

/// Fetches the keys of every app's identity provider.
async fn identities(config: &Config) -> Vec<Finding> {
    let identities = Identities::new(Default::default(), Clock::system());
    let mut findings = Vec::new();
    for app in &config.apps {
        let Some(settings) = &app.identity else {
            continue;
        };
        let found = identities.check(&app.host, settings).await;
        findings.push(Finding {
            subject: Subject::Identity(app.host.clone()),
            found: found.map(|keys| match keys {
                1 => format!(
                    "{} has a key that tokens may be signed with",
                    settings.issuer
                ),
                many => format!(
                    "{} has {many} keys that tokens may be signed with",
                    settings.issuer
                ),
            }),
        });
    }
    findings
}

async fn service(app: &Arc<App>, kind: ChannelKind) -> Result<String, String> {
    let environment = app
        .apns
        .as_ref()
        .map_or(ApnsEnvironment::Production, |apns| apns.environment);
    let vapid = vapid(app).await.map_err(|error| format!("{error:#}"))?;
    let adapter = dispatch::adapter(app, (kind, environment), &vapid, Default::default())?;
    let proved = adapter.check(Clock::system().now()).await?;
    Ok(match &app.web_push {
        Some(web_push) if kind == ChannelKind::WebPush && web_push.key.is_none() => format!(
            "{} is a good contact; the hub makes the key and keeps it in the store",
            web_push.subject
        ),
        _ => proved,
    })
}

/// The app's own VAPID key; where the hub makes one, a passing one, so that the contact can be checked with the
/// store untouched.
async fn vapid(app: &Arc<App>) -> anyhow::Result<VapidKeys> {
    let keys = VapidKeys::default();
    let passing = Store::in_memory()?;
    let apps = Apps::new(vec![Arc::clone(app)]);
    let rules = (Delivery::default(), Limits::default());
    let hub = Hub::new(passing.clone(), apps, rules, Clock::system());
    let loaded = keys.load(&hub, std::slice::from_ref(app)).await;
    let _ = tokio::task::spawn_blocking(move || passing.close()).await;
    loaded.map(|()| keys)
}

impl Finding {
    fn value(&self) -> Value {
        let mut value = Map::new();
        match &self.subject {
            Subject::Config => value.insert("check".into(), "config".into()),
            Subject::Store => value.insert("check".into(), "store".into()),
            Subject::Service(app, kind) => {
                value.insert("check".into(), "service".into());
                value.insert("app".into(), app.host.as_str().into());
                value.insert("service".into(), kind.as_str().into())
            }
            Subject::Identity(app) => {
                value.insert("check".into(), "identity".into());
                value.insert("app".into(), app.as_str().into())
            }
            Subject::Lane(app, service, lane) => {
                value.insert("check".into(), "lane".into());
                value.insert("app".into(), app.as_str().into());
                value.insert("service".into(), service.as_str().into());
                value.insert("lane".into(), lane.as_str().into())
            }
        };
        value.insert("ok".into(), self.found.is_ok().into());
        let (Ok(message) | Err(message)) = &self.found;
        value.insert("message".into(), message.as_str().into());
        Value::Object(value)
    }

    fn line(&self) -> String {
        let subject = match &self.subject {
            Subject::Config => "config".to_owned(),
            Subject::Store => "store".to_owned(),
            Subject::Service(app, kind) => format!("{} {}", app.host, kind.as_str()),
            Subject::Identity(app) => format!("{app} identity"),
            Subject::Lane(app, service, lane) if lane.is_empty() => format!("{app} {service}"),
            Subject::Lane(app, service, lane) => format!("{app} {service} {lane}"),
        };
        let mark = if self.found.is_ok() { '✓' } else { '✗' };
        let (Ok(message) | Err(message)) = &self.found;
        let lines = message
            .lines()
            .map(|line| format!("{mark} {subject}: {}", output::plain(line)));
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_stands_still_is_told_with_the_services_words() {
        for (answered, because) in [
            (json!("T1"), ": "),
            (json!("T2"), ". What stands in the way, as seen at T2: "),
            (Value::Null, ". What stands in the way: "),
        ] {
            let found = lane(&json!({
                "app": "todo.example.com", "service": "apns", "lane": "production", "status": "stopped",
                "since": "T1", "nextAttemptDateTime": "T3",
                "pushService": { "status": 403, "reason": "InvalidProviderToken", "dateTime": answered },
            }));
            let expected = format!(
                "✗ todo.example.com apns production: the running hub sends nothing there since T1{because}403 \
                 InvalidProviderToken; mend the settings, then send the hub SIGHUP. It is tried again at T3"
            );
            assert_eq!(found.line(), expected);
            assert_eq!(found.value()["check"], "lane");
        }
    }

    #[test]
    fn every_line_of_a_finding_is_marked() {
        let finding = Finding {
            subject: Subject::Config,
            found: Err("config.toml:1: bad\nconfig.toml:2: worse".into()),
        };
        assert_eq!(
            finding.line(),
            "✗ config: config.toml:1: bad\n✗ config: config.toml:2: worse"
        );
        let expected = json!({ "check": "config", "ok": false, "message": "config.toml:1: bad\nconfig.toml:2: worse" });
        assert_eq!(finding.value(), expected);
    }
}
