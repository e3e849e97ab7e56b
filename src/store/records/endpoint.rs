//! Endpoints, their channels and who owns those.

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, codec, keys::broken},
    Record, StoredSubject, endpoint_id, millis, platform, platform_code, stored_subject, subject,
    time, times,
};
use crate::model::{
    ApnsEnvironment, Channel, DeviceToken, Endpoint, FeedPosition, Owner, Secret, SubscriptionId,
    TapId, WebPushKeys,
};

#[derive(Serialize, Deserialize)]
pub(in crate::store) enum StoredChannel {
    None,
    Apns(String, Option<String>, Option<bool>),
    Fcm(String),
    WebPush {
        endpoint: String,
        p256dh: Vec<u8>,
        auth: [u8; 16],
        vapid: Option<Vec<u8>>,
        expires: Option<u64>,
    },
    Wns(String),
}

fn stored_channel(channel: &Channel) -> StoredChannel {
    match channel {
        Channel::None => StoredChannel::None,
        Channel::Apns {
            device_token,
            topic,
            environment,
        } => StoredChannel::Apns(
            device_token.as_hex().to_owned(),
            topic.clone(),
            environment.map(|environment| environment == ApnsEnvironment::Sandbox),
        ),
        Channel::Fcm { registration_token } => {
            StoredChannel::Fcm(registration_token.expose().clone())
        }
        Channel::WebPush {
            endpoint,
            keys,
            vapid_public_key,
            expires,
        } => StoredChannel::WebPush {
            endpoint: endpoint.expose().clone(),
            p256dh: keys.p256dh.to_vec(),
            auth: *keys.auth.expose(),
            vapid: vapid_public_key.clone(),
            expires: millis(*expires),
        },
        Channel::Wns { channel_uri } => StoredChannel::Wns(channel_uri.expose().clone()),
    }
}

fn channel(stored: StoredChannel) -> Result<Channel, Error> {
    Ok(match stored {
        StoredChannel::None => Channel::None,
        StoredChannel::Apns(token, topic, sandbox) => Channel::Apns {
            device_token: DeviceToken::parse(&token).ok_or_else(|| broken("a device token"))?,
            topic,
            environment: sandbox.map(|sandbox| {
                if sandbox {
                    ApnsEnvironment::Sandbox
                } else {
                    ApnsEnvironment::Production
                }
            }),
        },
        StoredChannel::Fcm(token) => Channel::Fcm {
            registration_token: Secret::new(token),
        },
        StoredChannel::WebPush {
            endpoint,
            p256dh,
            auth,
            vapid,
            expires,
        } => Channel::WebPush {
            endpoint: Secret::new(endpoint),
            keys: WebPushKeys {
                p256dh: p256dh
                    .try_into()
                    .map_err(|_| broken("a subscription's key"))?,
                auth: Secret::new(auth),
            },
            vapid_public_key: vapid,
            expires: times(expires),
        },
        StoredChannel::Wns(uri) => Channel::Wns {
            channel_uri: Secret::new(uri),
        },
    })
}

/// The first version, which did not know what the device had asked for itself.
#[derive(Serialize, Deserialize)]
struct FirstEndpoint {
    id: String,
    platform: u8,
    channel: StoredChannel,
    generation: u64,
    tap_id: [u8; 16],
    subscription: [u8; 16],
    display_name: Option<String>,
    locale: Option<String>,
    state_sync: bool,
    shared: bool,
    created: u64,
    registered: u64,
    last_seen: u64,
    expires: u64,
    registered_at: u64,
}

impl FirstEndpoint {
    /// What the device had asked for: spans that the config gave are whole seconds, moments that a device named are
    /// hardly ever so from when it was seen.
    fn asked_expires(&self) -> Option<u64> {
        let span = self.expires.saturating_sub(self.last_seen);
        (!span.is_multiple_of(1000)).then_some(self.expires)
    }
}

/// The first version's fields, and when the device asked to be forgotten.
#[derive(Serialize, Deserialize)]
struct SecondEndpoint(FirstEndpoint, Option<u64>);

/// The second version's, and until when it is told of once it is over.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredEndpoint(SecondEndpoint, Option<u64>);

impl Record for Endpoint {
    type Stored = StoredEndpoint;
    const VERSION: u8 = 3;

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_stored(match bytes.first() {
            Some(&1) => {
                let first: FirstEndpoint = codec::decode(1, bytes)?;
                let asked = first.asked_expires();
                StoredEndpoint(SecondEndpoint(first, asked), None)
            }
            Some(&2) => StoredEndpoint(codec::decode(2, bytes)?, None),
            _ => codec::decode(Self::VERSION, bytes)?,
        })
    }

    fn to_stored(&self) -> StoredEndpoint {
        let first = FirstEndpoint {
            id: self.id.as_str().to_owned(),
            platform: platform_code(&self.platform),
            channel: stored_channel(&self.channel),
            generation: self.generation,
            tap_id: self.tap_id.to_bytes(),
            subscription: self.subscription.to_bytes(),
            display_name: self.display_name.clone(),
            locale: self.locale.clone(),
            state_sync: self.state_sync,
            shared: self.shared,
            created: self.created.as_millis(),
            registered: self.registered.as_millis(),
            last_seen: self.last_seen.as_millis(),
            expires: self.expires.as_millis(),
            registered_at: self.registered_at.0,
        };
        let second = SecondEndpoint(first, millis(self.asked_expires));
        StoredEndpoint(second, millis(self.told_until))
    }

    fn from_stored(stored: StoredEndpoint) -> Result<Self, Error> {
        let StoredEndpoint(SecondEndpoint(stored, asked), told_until) = stored;
        Ok(Self {
            id: endpoint_id(&stored.id)?,
            platform: platform(stored.platform)?,
            channel: channel(stored.channel)?,
            generation: stored.generation,
            tap_id: TapId::from_bytes(stored.tap_id),
            subscription: SubscriptionId::from_bytes(stored.subscription),
            display_name: stored.display_name,
            locale: stored.locale,
            state_sync: stored.state_sync,
            shared: stored.shared,
            created: time(stored.created),
            registered: time(stored.registered),
            last_seen: time(stored.last_seen),
            expires: time(stored.expires),
            asked_expires: times(asked),
            told_until: times(told_until),
            gone: None,
            registered_at: FeedPosition(stored.registered_at),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredOwner(StoredSubject, String, u64, bool);

pub(in crate::store) fn encode_owners(owners: &[Owner]) -> Result<Vec<u8>, Error> {
    let stored: Vec<StoredOwner> = owners
        .iter()
        .map(|owner| {
            let endpoint = owner.endpoint.as_str().to_owned();
            StoredOwner(
                stored_subject(&owner.subject),
                endpoint,
                owner.generation,
                owner.shared,
            )
        })
        .collect();
    codec::encode(1, &stored)
}

pub(in crate::store) fn decode_owners(bytes: &[u8]) -> Result<Vec<Owner>, Error> {
    let stored: Vec<StoredOwner> = codec::decode(1, bytes)?;
    stored
        .into_iter()
        .map(|owner| {
            Ok(Owner {
                subject: subject(&owner.0)?,
                endpoint: endpoint_id(&owner.1)?,
                generation: owner.2,
                shared: owner.3,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndpointId, Platform};

    #[test]
    fn of_the_first_version_only_an_odd_end_is_what_the_device_asked_for() {
        let seen = 1_800_000_000_123;
        for (expires, asked) in [(seen + 90_000, false), (seen + 90_001, true), (7, false)] {
            let endpoint = Endpoint {
                id: EndpointId::parse("phone").unwrap(),
                platform: Platform::Ios,
                channel: Channel::None,
                generation: 7,
                tap_id: TapId::from_bytes([1; 16]),
                subscription: SubscriptionId::from_bytes([2; 16]),
                display_name: None,
                locale: None,
                state_sync: true,
                shared: false,
                created: time(seen),
                registered: time(seen),
                last_seen: time(seen),
                expires: time(expires),
                asked_expires: None,
                told_until: None,
                gone: None,
                registered_at: FeedPosition(3),
            };
            let StoredEndpoint(second, _) = endpoint.to_stored();
            let of_the_second = codec::encode(2, &second).unwrap();
            assert_eq!(Endpoint::decode(&of_the_second).unwrap(), endpoint);
            let read = Endpoint::decode(&codec::encode(1, &second.0).unwrap()).unwrap();
            assert_eq!(read.asked_expires, asked.then(|| time(expires)));
            let asked_expires = read.asked_expires;
            assert_eq!(
                read,
                Endpoint {
                    asked_expires,
                    ..endpoint
                }
            );
        }
    }
}
