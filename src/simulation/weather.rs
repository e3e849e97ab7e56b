//! What goes wrong around the hub: the network's weather, what the push services say, devices that are away.

use rand::Rng as _;

use super::{device::Device, world::World};
use crate::{
    doubles::{At, DevicePatch, FaultKind, FaultSpec, Service},
    hub::Hub,
};

/// What comes most often.
const COMMON: [FaultKind; 5] = [
    FaultKind::ServerError,
    FaultKind::Throttled,
    FaultKind::Cut,
    FaultKind::CredentialRefused,
    FaultKind::Silence,
];
/// What only a real connection can suffer.
const OF_CONNECTIONS: [&str; 6] = [
    "wrongCertificate",
    "expiredCertificate",
    "misnamedCertificate",
    "handshakeSilence",
    "handshakeCut",
    "handshakeGarbage",
];

/// How a service can be reached.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    /// The longest way there and back, in milliseconds.
    pub(super) latency_ms: u64,
    /// Of a hundred requests, how many find no connection.
    pub(super) unreachable: u32,
    /// How many are lost on their way there.
    pub(super) lost_before: u32,
    /// How many are lost on their way back, with their effect.
    pub(super) lost_after: u32,
    /// How many are answered with something that is no answer.
    pub(super) garbled: u32,
}

impl Weather {
    pub(super) const FAIR: Self = Self {
        latency_ms: 40,
        unreachable: 0,
        lost_before: 0,
        lost_after: 0,
        garbled: 0,
    };
}

impl World {
    pub(super) fn switch(&mut self, hub: &Hub) {
        let device = self.any_device();
        let on = self.chance(65);
        let patch = match (device.service, self.random.random_range(0..3)) {
            (Service::Apns, 0) => DevicePatch {
                low_power: Some(!on),
                ..DevicePatch::default()
            },
            (Service::Fcm, 0) => DevicePatch {
                doze: Some(!on),
                ..DevicePatch::default()
            },
            _ => {
                device.break_stream();
                device.set_online(on);
                DevicePatch::online(on)
            }
        };
        self.note(hub.now(), format!("{}: {patch:?}", device.name()));
        self.patch(&device, patch);
    }

    pub(super) fn patch(&self, device: &Device, patch: DevicePatch) {
        self.network.set_time(self.moment().truth);
        let id = device.with(|memory| memory.double.id.clone());
        self.network.handle().patch_device(&id, patch).unwrap();
        self.network.tell();
    }

    /// A service fails in one of all the ways that its double knows.
    pub(super) fn fault(&mut self, hub: &Hub) {
        let service = self.pick(&Service::ALL);
        let at = if self.chance(15) && matches!(service, Service::Fcm | Service::Wns) {
            At::Token
        } else {
            At::Push
        };
        let kind = if self.chance(40) {
            self.pick(&COMMON)
        } else {
            let all = FaultKind::known(service, at).into_iter();
            let all: Vec<_> = all
                .filter(|kind| !OF_CONNECTIONS.contains(&kind.name()))
                .collect();
            self.pick(&all)
        };
        let waits = kind == FaultKind::Throttled || self.chance(20);
        let spec = FaultSpec {
            times: Some(self.random.random_range(1..6)),
            retry_after_seconds: waits.then(|| self.random.random_range(1..90)),
            at,
            ..FaultSpec::always(service, kind)
        };
        self.note(hub.now(), format!("{spec:?}"));
        self.network.handle().script(spec);
    }

    pub(super) fn turn_the_weather(&mut self, hub: &Hub) {
        let service = self.pick(&Service::ALL);
        let latency_ms = self.pick(&[10, 200, 4_000, 40_000]);
        let weather = match self.random.random_range(0..5) {
            0 => Weather::FAIR,
            1 => Weather {
                latency_ms,
                unreachable: 100,
                ..Weather::FAIR
            },
            2 => Weather {
                latency_ms,
                lost_before: 30,
                lost_after: 20,
                ..Weather::FAIR
            },
            3 => Weather {
                latency_ms,
                garbled: 40,
                ..Weather::FAIR
            },
            _ => Weather {
                latency_ms,
                ..Weather::FAIR
            },
        };
        self.note(hub.now(), format!("{service:?}: {weather:?}"));
        self.network.set_weather(service, weather);
        if self.chance(20) {
            self.network.handle().revoke_access_tokens();
        }
    }
}
