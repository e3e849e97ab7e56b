//! Who is on the stage: Ada, her four devices, and the three notifications that are there at first.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{APP, SILENT_PER_HOUR, USER, folder::Folder};
use crate::{
    doubles::{self, Device, DevicePatch, Handle, NewDevice, Service},
    hub::{Hub, Registration},
    model::{
        ActionState, AppHost, Channel, DeviceToken, Draft, EndpointId, Platform, Priority,
        ReadState, Scope, Secret, StateChange, Subject, UserId, VisualContent, WebPushKeys,
    },
    serve::Running,
};

/// The four devices: name, service, endpoint.
const DEVICES: [(&str, Service, &str); 4] = [
    ("iPhone", Service::Apns, "iphone"),
    ("Android", Service::Fcm, "android"),
    ("Windows PC", Service::Wns, "windows-pc"),
    ("Browser", Service::WebPush, "browser"),
];

/// What the folder remembers between starts.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Noted {
    app_key: Option<String>,
    devices: Vec<NotedDevice>,
    greeted: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotedDevice {
    endpoint: String,
    device: String,
    token: String,
}

/// All that the page needs to know.
#[derive(Debug)]
pub(super) struct Cast {
    app_key: String,
    devices: Vec<NotedDevice>,
}

impl Cast {
    /// The answer to `/demo/state`.
    pub(super) fn state(&self, doubles: &Handle) -> Value {
        let devices =
            DEVICES
                .iter()
                .zip(&self.devices)
                .map(|((name, service, endpoint), noted)| {
                    json!({
                        "name": name,
                        "service": service,
                        "endpointId": endpoint,
                        "token": noted.token,
                        "device": doubles.device(&noted.device).ok(),
                    })
                });
        json!({
            "app": APP,
            "user": USER,
            "appKey": self.app_key,
            "silentPerHour": SILENT_PER_HOUR,
            "devices": devices.collect::<Vec<Value>>(),
        })
    }
}

/// Makes the person's devices at the doubles and registers them at the hub, as far as they are not there yet.
pub(super) async fn assemble(
    running: &Running,
    doubles: &Handle,
    folder: &Folder,
) -> anyhow::Result<Cast> {
    let hub = &running.hub;
    let app = AppHost::parse(APP).map_err(anyhow::Error::msg)?;
    let user = UserId::parse(USER).map_err(anyhow::Error::msg)?;
    let subject = Subject {
        app: app.clone(),
        user,
    };
    let mut noted: Noted = folder.noted();
    let app_key = match noted.app_key.filter(|key| hub.authenticate(key).is_ok()) {
        Some(key) => key,
        None => hub
            .create_key(&app, Some("demo".into()), Scope::All)
            .await?
            .secret
            .expose()
            .clone(),
    };
    noted.app_key = Some(app_key.clone());
    let vapid = running
        .vapid
        .public(&app)
        .context("the demo's app has no VAPID key")?;
    let mut devices = Vec::new();
    for (name, service, endpoint) in DEVICES {
        let known = noted.devices.iter().find(|it| it.endpoint == endpoint);
        let kept = known.filter(|it| hub.authenticate(&it.token).is_ok());
        // As an app does at each start: a channel of WNS lives 30 days, and its double may have had to move to another port.
        let refreshed = |it: &NotedDevice| doubles.patch_device(&it.device, DevicePatch::default());
        let there = kept.and_then(|it| Some((it, refreshed(it).ok()?)));
        let device = match there {
            Some((kept, device)) => {
                register(hub, &subject, (endpoint, service, &device)).await?;
                kept.clone()
            }
            None => enrol(hub, doubles, &subject, (name, service, endpoint, &vapid)).await?,
        };
        devices.push(device);
    }
    noted.devices.clone_from(&devices);
    folder.note(&noted)?;
    if !noted.greeted {
        greet(hub, &subject).await?;
        noted.greeted = true;
        folder.note(&noted)?;
    }
    Ok(Cast { app_key, devices })
}

async fn enrol(
    hub: &Hub,
    doubles: &Handle,
    subject: &Subject,
    (name, service, endpoint, vapid): (&str, Service, &str, &str),
) -> anyhow::Result<NotedDevice> {
    let wanted = match service {
        Service::WebPush => NewDevice::browser(vapid),
        other => NewDevice::of(other),
    };
    let device = doubles.add_device(wanted.named(format!("Ada's {name}")))?;
    let id = register(hub, subject, (endpoint, service, &device)).await?;
    let token = hub
        .mint_token(subject.clone(), Some(id), None, None)
        .await?;
    Ok(NotedDevice {
        endpoint: endpoint.to_owned(),
        device: device.id,
        token: token.secret.expose().clone(),
    })
}

async fn register(
    hub: &Hub,
    subject: &Subject,
    (endpoint, service, device): (&str, Service, &Device),
) -> anyhow::Result<EndpointId> {
    let id = EndpointId::parse(endpoint).map_err(anyhow::Error::msg)?;
    let registration = Registration {
        id: id.clone(),
        platform: platform(service),
        channel: channel(device)?,
        present_vapid: None,
        display_name: device.name.clone(),
        locale: None,
        state_sync: true,
        shared: false,
        expires: None,
    };
    hub.register(subject.clone(), registration).await?;
    Ok(id)
}

fn platform(service: Service) -> Platform {
    match service {
        Service::Apns => Platform::Ios,
        Service::Fcm => Platform::Android,
        Service::WebPush => Platform::WebPush,
        Service::Wns => Platform::Windows,
    }
}

/// The double's channel, as the hub knows channels.
fn channel(device: &Device) -> anyhow::Result<Channel> {
    Ok(match &device.channel {
        doubles::Channel::Apns { device_token } => Channel::Apns {
            device_token: DeviceToken::parse(device_token).context("the double's device token")?,
            topic: None,
            environment: None,
        },
        doubles::Channel::Fcm { registration_token } => Channel::Fcm {
            registration_token: Secret::new(registration_token.clone()),
        },
        doubles::Channel::WebPush { endpoint, keys, .. } => Channel::WebPush {
            endpoint: Secret::new(endpoint.clone()),
            keys: WebPushKeys {
                p256dh: bytes(&keys.p256dh)?,
                auth: Secret::new(bytes(&keys.auth)?),
            },
            vapid_public_key: None,
            expires: None,
        },
        doubles::Channel::Wns { channel_uri } => Channel::Wns {
            channel_uri: Secret::new(channel_uri.clone()),
        },
    })
}

fn bytes<const N: usize>(text: &str) -> anyhow::Result<[u8; N]> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .context("the double's subscription keys")?;
    bytes
        .try_into()
        .map_err(|_| anyhow::anyhow!("the double's subscription keys have another length"))
}

/// What is there at first: one unread, one read, one dismissed.
async fn greet(hub: &Hub, subject: &Subject) -> anyhow::Result<()> {
    let read = StateChange {
        read: Some(ReadState::Read),
        action: None,
    };
    let dismissed = StateChange {
        read: None,
        action: Some(ActionState::Dismissed),
    };
    for (title, body, change) in [
        (
            "Parcel delivered",
            "It waits at your neighbour's door.",
            Some(dismissed),
        ),
        (
            "Standup moved to 10:15",
            "Same room, fifteen minutes later.",
            Some(read),
        ),
        (
            "Welcome, Ada",
            "Post one above. Dismiss it on the phone.",
            None,
        ),
    ] {
        let posted = hub
            .create(subject.clone(), draft(title, body), None)
            .await?;
        if let Some(change) = change {
            hub.set(subject.clone(), posted.id, change, (None, None))
                .await?;
        }
    }
    Ok(())
}

fn draft(title: &str, body: &str) -> Draft {
    Draft {
        app_id: None,
        group: None,
        platforms: None,
        raw: None,
        visual: Some(VisualContent {
            title: title.to_owned(),
            body: Some(body.to_owned()),
        }),
        display_ttl: None,
        expires: None,
        priority: Priority::None,
        fallback: None,
    }
}
