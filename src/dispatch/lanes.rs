//! All lanes: one for each app, service and authority. Authorities that users name are many; so many of them have lanes
//! of their own as are busy at once, the rest share one.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
};

use tokio::sync::mpsc;

use super::{
    VapidKeys,
    circuit::STOPPED,
    freed::Freed,
    gate::{Demands, Gate},
    guard::{self, Guard},
    lane::{Lane, Way},
    load::Load,
    parked::Line,
    told::Told,
};
use crate::{
    config::apps::{self as config, App},
    hub::{DueTap, Hub, LaneName},
    metrics::Metrics,
    model::{ApnsEnvironment, AppHost, AppService, Channel, ChannelKind, Demand},
    push::{Adapter, Resolver, apns, fcm, web_push, wns},
};

/// How many authorities of one app and service have a lane of their own.
const OWN_LANES: usize = 32;

/// Which lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    app: AppHost,
    kind: ChannelKind,
    /// An APNs environment, or the host that a channel names; empty for the shared lane.
    authority: String,
}

impl LaneKey {
    /// What the operator knows it by.
    fn name(&self) -> LaneName {
        LaneName {
            app: self.app.clone(),
            service: self.kind,
            authority: self.authority.clone(),
        }
    }
}

/// An adapter. As long as what it was made with stays as it is, so do its connections and credentials, which the services
/// do not want to see renewed for nothing.
#[derive(Debug)]
struct Made {
    with: MadeWith,
    /// The app that asked last.
    app: Arc<App>,
    adapter: Arc<Adapter>,
    guard: Arc<Guard>,
}

/// The settings of one service of an app.
#[derive(Debug, PartialEq, Eq)]
enum MadeWith {
    Apns(Option<Arc<config::Apns>>),
    Fcm(Option<Arc<config::Fcm>>),
    /// With the app's VAPID public keys.
    WebPush(Option<Arc<config::WebPush>>, Vec<String>),
    Wns(Option<Arc<config::Wns>>),
    Nothing,
}

impl MadeWith {
    fn present(app: &App, kind: ChannelKind, vapid: &VapidKeys) -> Self {
        match kind {
            ChannelKind::Apns => Self::Apns(app.apns.clone()),
            ChannelKind::Fcm => Self::Fcm(app.fcm.clone()),
            ChannelKind::WebPush => {
                Self::WebPush(app.web_push.clone(), vapid.public_keys(&app.host))
            }
            ChannelKind::Wns => Self::Wns(app.wns.clone()),
            ChannelKind::None => Self::Nothing,
        }
    }
}

/// The lanes, and the adapters that they share: connections and credentials are those of all lanes to the service.
#[derive(Debug)]
pub(super) struct Lanes {
    hub: Hub,
    metrics: Metrics,
    vapid: VapidKeys,
    resolver: Resolver,
    freed: mpsc::UnboundedSender<Freed>,
    load: Load,
    lanes: HashMap<LaneKey, Lane>,
    adapters: HashMap<AppService, Made>,
    /// What services demanded of everyone in an earlier life of the process.
    demanded: Vec<(LaneName, Demand)>,
    /// To which services an app's settings lead nowhere.
    nowhere: HashMap<(AppHost, ChannelKind), (Arc<App>, Told)>,
}

impl Lanes {
    pub(super) fn new(
        hub: Hub,
        metrics: Metrics,
        (vapid, resolver): (VapidKeys, Resolver),
        (freed, load): (mpsc::UnboundedSender<Freed>, Load),
    ) -> Self {
        let demanded = hub.demands().unwrap_or_else(|error| {
            tracing::error!(%error, "the store does not say which push services want to be left alone");
            Vec::new()
        });
        Self {
            demanded,
            hub,
            metrics,
            vapid,
            resolver,
            freed,
            load,
            lanes: HashMap::new(),
            adapters: HashMap::new(),
            nowhere: HashMap::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// The lane of a tap, which begins with its first.
    ///
    /// # Errors
    /// Why there is no way to the service with the present settings.
    pub(super) fn lane_for(&mut self, due: &DueTap) -> Result<&Lane, String> {
        let Some(app) = self.hub.app(&due.subject.app) else {
            return Err(String::from("the config has no such app"));
        };
        let channel = &due.level.endpoint.channel;
        let key = Self::key(&app, channel);
        let key = self.placed(key);
        // An app that was configured anew gets new lanes, which owe nothing to what was refused before, but wait where the
        // service demanded it; the old ones finish by themselves.
        let is_old = |lane: &Lane| !Arc::ptr_eq(&lane.app, &app);
        let old = match self.lanes.get(&key).is_some_and(is_old) {
            true => self.lanes.remove(&key),
            false => None,
        };
        if !self.lanes.contains_key(&key) {
            let lane = match self.lane(&app, (&key, channel), old) {
                Ok(lane) => lane,
                Err(reason) => {
                    self.no_lane(&app, &key, reason.clone());
                    return Err(reason);
                }
            };
            self.lanes.insert(key.clone(), lane);
        }
        self.lanes
            .get(&key)
            .ok_or_else(|| String::from("its lane has ended"))
    }

    /// Whether a lane takes more of those who wait in a line of it; one that is not there does.
    pub(super) fn has_room(&self, line: &Line) -> bool {
        let lane = self.lanes.get(&*line.lane);
        lane.is_none_or(|lane| lane.has_room(line.ahead))
    }

    /// Tells the operator that an app's settings lead nowhere.
    fn no_lane(&mut self, settings: &Arc<App>, key: &LaneKey, reason: String) {
        let (app, service) = (&key.app, key.kind.as_str());
        tracing::debug!(%app, service, reason, "a tap finds no lane");
        let of = (app.clone(), key.kind);
        let anew = || (Arc::clone(settings), Told::default());
        let told = self.nowhere.entry(of).or_insert_with(anew);
        // They may be in force already where nobody was told of the swap yet.
        if !Arc::ptr_eq(&told.0, settings) {
            *told = anew();
        }
        if let Some(taps) = told.1.again() {
            tracing::error!(%app, service, reason, taps, "no lane to the push service");
        }
        let until = self.hub.now().plus(STOPPED);
        self.hub.note_no_lane(key.name(), reason, until);
    }

    fn key(app: &App, channel: &Channel) -> LaneKey {
        LaneKey {
            app: app.host.clone(),
            kind: channel.kind(),
            authority: app.authority(channel),
        }
    }

    /// The same, or that of the shared lane where all that may have one of their own have something in it. What nobody uses
    /// ends for it, or whoever names many hosts would keep all others from theirs.
    fn placed(&mut self, key: LaneKey) -> LaneKey {
        if self.lanes.contains_key(&key) {
            return key;
        }
        let is_own = |other: &LaneKey| {
            other.app == key.app && other.kind == key.kind && !other.authority.is_empty()
        };
        let own = self.lanes.keys().filter(|other| is_own(other)).count();
        if own < OWN_LANES {
            return key;
        }
        let now = self.hub.now();
        let unused = self
            .lanes
            .iter()
            .filter(|(other, lane)| is_own(other) && lane.may_end(now));
        // Those first that lead nowhere.
        let unused = unused.min_by_key(|(_, lane)| lane.has_taken());
        if let Some(unused) = unused.map(|(other, _)| other.clone()) {
            self.lanes.remove(&unused);
            return key;
        }
        LaneKey {
            authority: String::new(),
            ..key
        }
    }

    fn lane(
        &mut self,
        app: &Arc<App>,
        (key, channel): (&LaneKey, &Channel),
        old: Option<Lane>,
    ) -> Result<Lane, String> {
        let own = key.authority.clone();
        let own = Some(own).filter(|own| !own.is_empty() || app.authority(channel).is_empty());
        let (adapter, guard) = self.adapter(app, channel)?;
        let taken = old.as_ref().is_some_and(Lane::has_taken);
        let demands = match old {
            Some(old) => old.demands(&adapter),
            None => self.demanded_at(key),
        };
        let gate = Gate::new(self.hub.clone(), Arc::clone(app), guard, (own, demands));
        self.hub.note_lane(key.name(), None);
        gate.begin();
        let way = Way {
            hub: self.hub.clone(),
            metrics: self.metrics.clone(),
            app: Arc::clone(app),
            adapter,
            freed: self.freed.clone(),
            gate,
            pace: Arc::default(),
            taken: AtomicBool::new(taken),
            key: Arc::new(key.clone()),
        };
        Ok(Lane::start(way, &self.load))
    }

    /// What an earlier life of the process was told to wait for; at the shared lane, by any host.
    fn demanded_at(&self, key: &LaneKey) -> Demands {
        let now = self.hub.now();
        let here = self.demanded.iter().filter(|(lane, demand)| {
            let is_there = key.authority.is_empty() || lane.authority == key.authority;
            let stands = demand.until > now && !demand.since.is_to_come(now);
            is_there && stands && lane.app == key.app && lane.service == key.kind
        });
        here.map(|(lane, demand)| (lane.authority.clone(), demand.clone()))
            .collect()
    }

    fn adapter(
        &mut self,
        app: &Arc<App>,
        channel: &Channel,
    ) -> Result<(Arc<Adapter>, Arc<Guard>), String> {
        let environment = app.environment(channel);
        let sandbox = environment == ApnsEnvironment::Sandbox;
        let key = AppService {
            app: app.host.clone(),
            kind: channel.kind(),
            sandbox,
        };
        let with = MadeWith::present(app, key.kind, &self.vapid);
        if let Some(made) = self.adapters.get_mut(&key)
            && made.with == with
        {
            if !Arc::ptr_eq(&made.app, app) {
                made.app = Arc::clone(app);
                made.adapter.try_again();
            }
            return Ok((Arc::clone(&made.adapter), Arc::clone(&made.guard)));
        }
        let service = (channel.kind(), environment);
        let adapter = Arc::new(adapter(app, service, &self.vapid, self.resolver.clone())?);
        // New settings are to be tried; whether those of an earlier process were the same nobody knows.
        let known = self.adapters.contains_key(&key);
        if known {
            self.demanded
                .retain(|(lane, _)| lane.app != key.app || lane.service != key.kind);
        }
        let kept = self.hub.drops(&key);
        let (drops, earlier) = if known { (0, kept) } else { (kept, 0) };
        let guard = Arc::new(Guard::new(key.clone(), drops, earlier));
        let made = Made {
            with,
            app: Arc::clone(app),
            adapter: Arc::clone(&adapter),
            guard: Arc::clone(&guard),
        };
        self.adapters.insert(key, made);
        Ok((adapter, guard))
    }

    /// Tells the operator which guards the present settings begin with, and from now on what is wrong with them.
    pub(super) fn tell_anew(&mut self) {
        let hub = &self.hub;
        self.nowhere.retain(|(app, _), (settings, _)| {
            let present = hub.app(app);
            present.is_some_and(|present| Arc::ptr_eq(&present, settings))
        });
        for (name, _) in self.hub.guards() {
            guard::tell(&name.app, name.service);
        }
    }

    /// Takes no more taps, and waits for those under way at most until `deadline`.
    pub(super) async fn finish(self, deadline: tokio::time::Instant) {
        for (_, lane) in self.lanes {
            lane.finish(deadline).await;
        }
    }
}

/// The adapter for a service of an app, in an environment if it is Apple's.
///
/// # Errors
/// A sentence that names the setting at fault.
pub fn adapter(
    app: &App,
    (kind, environment): (ChannelKind, ApnsEnvironment),
    vapid: &VapidKeys,
    resolver: Resolver,
) -> Result<Adapter, String> {
    let missing = || format!("the app has no settings for {}", kind.as_str());
    match kind {
        ChannelKind::Apns => {
            let settings = app.apns.clone().ok_or_else(missing)?;
            apns::Apns::with_resolver(settings, environment, resolver).map(Adapter::Apns)
        }
        ChannelKind::Fcm => {
            let settings = app.fcm.clone().ok_or_else(missing)?;
            fcm::Fcm::with_resolver(settings, resolver).map(Adapter::Fcm)
        }
        ChannelKind::WebPush => {
            let settings = app.web_push.clone().ok_or_else(missing)?;
            let (present, older) = vapid.of(&app.host).ok_or_else(missing)?;
            web_push::WebPush::with_resolver(settings, present, older, resolver)
                .map(Adapter::WebPush)
        }
        ChannelKind::Wns => {
            let settings = app.wns.clone().ok_or_else(missing)?;
            wns::Wns::with_resolver(settings, resolver).map(Adapter::Wns)
        }
        ChannelKind::None => Err(missing()),
    }
}
