//! What is foreseen of a file is what its import comes to.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

use super::{
    super::{
        ReadRegistration, Request,
        tests::{HOST, hub_within},
    },
    *,
};
use crate::{
    config::{Limits, apps::App},
    hub::Hub,
    model::{AppHost, Channel, Endpoint, EndpointId, Platform, Secret, UserId},
};

/// More than may share a channel.
const USERS: u8 = 7;

/// Reads registrations whose channel is a token or none; one is refused.
fn read(
    id: EndpointId,
    body: &Map<String, Value>,
    _: &App,
    _: Timestamp,
) -> Result<Registration, Error> {
    let channel = match body["token"].as_str() {
        Some("refused") => return Err(Error::invalid("token", "is refused")),
        Some(token) => Channel::Fcm {
            registration_token: Secret::new(token.to_owned()),
        },
        None => Channel::None,
    };
    Ok(Registration {
        id,
        platform: Platform::Android,
        channel,
        present_vapid: None,
        display_name: None,
        locale: None,
        state_sync: false,
        shared: body["shared"] == true,
        expires: None,
    })
}

/// A device of few people, with few ids and channels, so that they meet.
fn device() -> impl Strategy<Value = Device> {
    let token = proptest::sample::select(&["refused", "", "a", "b", "c", "d"][..])
        .prop_map(|it| (!it.is_empty()).then_some(it));
    let shared = proptest::bool::weighted(0.7);
    (0..USERS, 0u8..5, token, shared).prop_map(|(user, id, token, shared)| Device {
        user: format!("user-{user}"),
        endpoint: format!("e-{id}"),
        registration: Map::from_iter([
            (String::from("token"), json!(token)),
            (String::from("shared"), json!(shared)),
        ]),
    })
}

async fn ask<T: serde::de::DeserializeOwned>(hub: &Hub, request: Request) -> T {
    serde_json::from_value(hub.admin(request).await.unwrap()["value"].take()).unwrap()
}

async fn import(hub: &Hub, file: &[Device], overwrite: bool) -> Vec<Became> {
    let (app, devices) = (HOST.to_owned(), file.to_vec());
    let request = Request::EndpointImport {
        app,
        devices,
        overwrite,
    };
    ask(hub, request).await
}

async fn foresee(hub: &Hub, file: &[Device], overwrite: bool, batch: usize) -> Vec<Became> {
    let (mut foresight, mut became) = (Foresight::default(), Vec::new());
    for devices in file.chunks(batch) {
        let (app, devices) = (HOST.to_owned(), devices.to_vec());
        let asked = devices.clone();
        let looked: Vec<Looked> = ask(hub, Request::EndpointLook { app, devices }).await;
        for (device, looked) in asked.iter().zip(looked) {
            became.push(foresight.next(device, looked, overwrite));
        }
    }
    became
}

async fn all(hub: &Hub) -> Vec<(u8, Endpoint)> {
    let mut all = Vec::new();
    for user in 0..USERS {
        let subject = Subject {
            app: AppHost::parse(HOST).unwrap(),
            user: UserId::parse(&format!("user-{user}")).unwrap(),
        };
        let endpoints = hub.endpoints(subject).await.unwrap();
        all.extend(endpoints.into_iter().map(|it| (user, it)));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_foreseen_of_a_file_is_what_its_import_comes_to(
        before in vec(device(), 0..30),
        file in vec(device(), 0..60),
        overwrite in any::<bool>(),
        batch in 1usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let hub = hub_within(Limits { endpoints_per_user: 3, ..Limits::default() });
            hub.read_registrations(ReadRegistration::by(read));
            import(&hub, &before, true).await;
            let stood = all(&hub).await;
            let foreseen = foresee(&hub, &file, overwrite, batch).await;
            prop_assert_eq!(&all(&hub).await, &stood);
            let came = import(&hub, &file, overwrite).await;
            prop_assert_eq!(foreseen, came);
            let stands = all(&hub).await;
            for known in stood.iter().filter(|_| !overwrite) {
                prop_assert!(stands.contains(known), "{known:?} was left as it is");
            }
            Ok(())
        })?;
    }
}
