//! When the storm is over: everything comes to rest, and in the end it fades away.

use std::{collections::BTreeSet, time::Duration};

use rand::Rng as _;

use super::{
    Process,
    answers::Answers,
    device::Essence,
    on_virtual_time,
    weather::Weather,
    world::{PEOPLE, World, listed, subject},
};
use crate::{
    doubles::{DevicePatch, Service},
    hub::Hub,
    model::{ChannelKind, Timestamp},
};

/// How long everything has to come to rest: the longest wait between two taps is a day.
const REST: Duration = Duration::from_hours(26);

/// The storm is over: everything works, everybody is there, nobody does anything any more.
pub(super) fn come_to_rest(world: &mut World, life: u64) {
    on_virtual_time(async {
        let mut process = Process::start(world, life).await;
        let hub = process.hub.clone();
        world.check_kept(&hub).await;
        world.network.handle().clear_faults();
        for service in Service::ALL {
            world.network.set_weather(service, Weather::FAIR);
        }
        process.attend(world);
        lull(world, &hub).await;
        for device in world.devices.clone() {
            let awake = DevicePatch {
                online: Some(true),
                low_power: Some(false),
                doze: Some(false),
                ..DevicePatch::default()
            };
            world.patch(&device, awake);
            let was_there = device.set_online(true);
            if !device.has_told() || !was_there && world.random.random_range(0..2) == 0 {
                world.sign_in(&hub, &device).await;
            }
            // Who was not heard of for so long is forgotten, and learns of it when the app is opened.
            device.be_known(&hub).await;
        }
        let soon = Duration::from_secs(world.random.random_range(0..1_800));
        tokio::time::sleep(soon).await;
        world.set_right(&hub).await;
        // Nothing is under way any more that was begun in the storm.
        tokio::time::sleep(Duration::from_mins(10)).await;
        open_apps(world, &hub).await;
        // By the hub's clock, which may have to wait until the wall has caught up.
        let rested = hub.now().plus(REST);
        while hub.now() < rested {
            tokio::time::sleep(Duration::from_mins(20)).await;
            world.check(&hub).await;
            process.assert_well();
        }
        world.now = process.truth.now();
        check_devices(world, &hub).await;
        check_the_end(world, &hub).await;
        if hub.now() >= world.belief.latest() {
            let held = process.load.held();
            assert_eq!((held.jobs, held.timers, held.steps), (0, 0, 0), "{held:?}");
        }
    });
}

/// The services are well already, and whoever is away stays so for a while: what is owed to those falls back.
async fn lull(world: &mut World, hub: &Hub) {
    for device in world.devices.clone() {
        if world.chance(30) {
            device.break_stream();
            device.set_online(false);
            world.patch(&device, DevicePatch::online(false));
        }
    }
    for user in PEOPLE {
        let draft = world.draft(hub);
        let draft = world.urgent(draft);
        world.post(hub, user, draft).await;
    }
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_mins(5)).await;
        world.check(hub).await;
    }
}

/// An app is opened whose channel was called dead, or whose pushes a service will never take: it cannot hear of that but
/// by itself. All others hear by their taps.
async fn open_apps(world: &mut World, hub: &Hub) {
    for device in world.devices.clone() {
        let endpoints = hub.endpoints(device.subject.clone()).await.unwrap();
        let it = endpoints.iter().find(|it| it.id == device.endpoint);
        if it.is_some_and(|it| it.gone.is_some()) {
            world.sign_in(hub, &device).await;
        }
        let mut since = Timestamp::default();
        world
            .network
            .promises(|promises| since = promises.last_pull(device.name()));
        let refused = |answers: &mut Answers| answers.refused_since(device.name(), since);
        if world.network.answers(refused) {
            world.note(hub.now(), format!("{} is opened at last", device.name()));
            device.pull(hub, 0).await;
        }
    }
}

/// By taps alone every device holds what is meant for it, and nothing that is gone.
async fn check_devices(world: &World, hub: &Hub) {
    for user in PEOPLE {
        let there = listed(hub, user).await;
        let mut kept = world.kept[user].clone();
        kept.retain(|_, it| it.expires > hub.now());
        assert_eq!(there, kept, "{user}");
        for device in &world.devices {
            if device.subject != subject(user) {
                continue;
            }
            let shows = device.shows(hub.now());
            for (id, it) in &shows {
                let is = there.get(id);
                if Some(it) != is {
                    device.explain(hub).await;
                }
                assert_eq!(Some(it), is, "{} holds what is not so", device.name());
            }
            // Nobody is tapped for what was dealt with before they heard of it.
            let meant = |it: &Essence| {
                let all = it.platforms.as_ref();
                it.is_open() && all.is_none_or(|platforms| platforms.contains(&device.platform()))
            };
            for (id, it) in there.iter().filter(|(_, it)| meant(it)) {
                let held = shows.get(id);
                if held != Some(it) {
                    device.explain(hub).await;
                }
                assert_eq!(held, Some(it), "{} lacks {id}", device.name());
            }
        }
    }
}

/// The store agrees with itself, nothing is owed any more, and every channel that lives is known.
async fn check_the_end(world: &World, hub: &Hub) {
    let findings = hub.store().reader().verify().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    let depth = hub.store().reader().outbox_depth().unwrap();
    // But for a look in a time that has not come, since a leap was undone.
    let now = hub.now();
    let is_ahead = depth.oldest_due.is_some_and(|due| due > now) && world.belief.latest() > now;
    let owes_nothing = depth.markers == 0 || is_ahead;
    assert!(owes_nothing, "something is still owed at {now}: {depth:?}");
    for user in PEOPLE {
        for endpoint in hub.endpoints(subject(user)).await.unwrap() {
            let device = world.devices.iter().find(|it| it.endpoint == endpoint.id);
            let device = device.expect("only devices of ours");
            let registered = device.registration().channel == endpoint.channel;
            let alive = endpoint.gone.is_none() && endpoint.channel.kind() != ChannelKind::None;
            assert!(
                !registered || alive,
                "{} was dropped alive",
                endpoint.id.as_str()
            );
        }
    }
}

/// When all is over, so are its rows, and later those that remember it: what stays is bounded by who there is.
pub(super) fn fade_away(world: &mut World, life: u64) {
    for _ in 0..2 {
        let latest = world.now.max(world.belief.latest());
        world.now = latest.plus(Duration::from_hours(32 * 24));
        sweep_all(world, life);
    }
    let mut left = world.rows.count();
    let (posts, devices) = (world.posted, world.devices.len());
    let services: BTreeSet<_> = world.devices.iter().map(|it| it.service).collect();
    // Of each service it is remembered what it demanded last, and how many channels in a row it called dead.
    for of_services in ['D', 'G'] {
        let many = left.remove(&of_services).unwrap_or_default();
        assert!(
            many <= services.len(),
            "{many} {of_services} of {services:?}"
        );
    }
    let bound = 8 + 7 * devices;
    assert!(
        left.values().sum::<usize>() <= bound,
        "{left:?} is left of {posts} posts to {devices} devices"
    );
}

fn sweep_all(world: &mut World, life: u64) {
    on_virtual_time(async {
        let mut process = Process::start(world, life).await;
        process.attend(world);
        for _ in 0..5 {
            world.check_time(&process.hub);
            tokio::time::sleep(Duration::from_mins(3)).await;
        }
        tokio::time::sleep(Duration::from_hours(2)).await;
        world.belief.see(world.moment());
        let findings = process.hub.store().reader().verify().unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
        for user in PEOPLE {
            assert!(listed(&process.hub, user).await.is_empty());
        }
    });
}
