//! Tokens and the connections that they come by, as the double of APNs counts them: it says so of each other one within
//! 20 minutes on a connection.

use tempfile::TempDir;

use super::*;
use crate::{
    clock::Clock,
    doubles::{self, Channel, Doubles, FaultKind, FaultSpec, NewDevice, Options, Service},
};

/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(10);

/// The adapter before a double, and a device there.
struct Rig {
    doubles: Doubles,
    apns: Apns,
    token: DeviceToken,
    _folder: TempDir,
}

impl Rig {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let doubles = doubles::start(Options::strict(folder.path()))
            .await
            .unwrap();
        let told = doubles.settings();
        let settings = apps::Apns {
            login: ApnsLogin::Token {
                key: Secret::new(std::fs::read(&told.apns.key_file).unwrap()),
                key_id: told.apns.key_id.clone(),
                team_id: told.apns.team_id.clone(),
            },
            topic: told.apns.topic.clone(),
            sound: None,
            category: None,
            environment: ApnsEnvironment::Production,
            endpoint: Some(Url::parse(&told.apns.endpoint).unwrap()),
            ca: Some(Arc::new(std::fs::read(&told.ca_file).unwrap())),
        };
        let apns = Apns::new(Arc::new(settings), ApnsEnvironment::Production).unwrap();
        let device = doubles.handle().add_device(NewDevice::of(Service::Apns));
        let Channel::Apns { device_token } = device.unwrap().channel else {
            panic!("a device of APNs has its token");
        };
        Self {
            doubles,
            apns,
            token: DeviceToken::parse(&device_token).unwrap(),
            _folder: folder,
        }
    }

    /// What time it is at the double.
    fn now(&self) -> Timestamp {
        let ahead = u64::try_from(self.doubles.handle().clock_offset()).unwrap();
        Clock::system().wall().plus(Duration::from_secs(ahead))
    }

    fn advance(&self, mins: i64) {
        let handle = self.doubles.handle();
        handle.set_clock_offset(handle.clock_offset() + mins * 60);
    }

    async fn push(&self) -> Outcome {
        let device = Device {
            token: &self.token,
            topic: None,
        };
        let message = ApnsMessage {
            payload: Bytes::from_static(br#"{"aps":{"alert":"Lunch?"}}"#),
            ..message()
        };
        let id = Uuid::new_v4();
        self.apns.send(device, &message, id, self.now()).await
    }

    async fn is_taken(&self) {
        let outcome = self.push().await;
        assert_eq!(outcome.verdict, Verdict::Accepted, "{outcome:?}");
    }

    /// Apple calls the token in use too old in its answer to some push.
    fn expires(&self) {
        let now = self.now();
        let signer = self.apns.signer.as_ref().unwrap();
        let token = signer.token(now).unwrap();
        assert!(signer.discard(token.number, now));
    }

    /// By which connections the pushes came that were taken.
    fn connections(&self) -> Vec<u64> {
        let arrivals = self.doubles.handle().arrivals(0);
        let taken = arrivals.iter().filter(|it| it.status == Some(200));
        taken.map(|it| it.connection).collect()
    }

    async fn finish(self) {
        let counted = self.doubles.handle().counters(Service::Apns);
        assert_eq!(
            counted.refused,
            0,
            "{:?}",
            self.doubles.handle().arrivals(0)
        );
        self.doubles.stop().await;
    }
}

/// A GOAWAY sends a push to the next connection. While it waits for that, another push learns that the token has expired.
#[tokio::test]
async fn what_waits_for_a_connection_leaves_with_the_token_of_then() {
    let rig = Rig::start().await;
    rig.is_taken().await;
    let handle = rig.doubles.handle();
    let leaves = FaultSpec::once(Service::Apns, FaultKind::GoAwayUnprocessed);
    handle.script(leaves);
    let meanwhile = async {
        let is_counted_out = |it: &doubles::Arrival| it.fault == Some(FaultKind::GoAwayUnprocessed);
        let counted_out = handle.await_arrival(0, SOON, is_counted_out).await;
        counted_out.expect("the push met the GOAWAY");
        rig.expires();
        rig.is_taken().await;
    };
    tokio::join!(rig.is_taken(), meanwhile);
    rig.finish().await;
}

#[tokio::test]
async fn a_push_takes_its_token_once_it_has_a_connection() {
    let rig = Rig::start().await;
    let mut waiting = Box::pin(rig.is_taken());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    rig.expires();
    tokio::join!(waiting, rig.is_taken());
    assert_eq!(rig.connections(), [1, 1]);
    let counted = rig.doubles.handle().counters(Service::Apns);
    assert_eq!(counted.distinct_credentials, 1);
    rig.finish().await;
}

/// As above, where the push that the GOAWAY had counted out was first on the new connection.
#[tokio::test]
async fn a_new_token_does_not_go_by_a_connection_that_an_expired_one_has_just_used() {
    let rig = Rig::start().await;
    rig.is_taken().await;
    let leaves = FaultSpec::once(Service::Apns, FaultKind::GoAwayUnprocessed);
    rig.doubles.handle().script(leaves);
    rig.is_taken().await;
    rig.expires();
    tokio::join!(rig.is_taken(), rig.is_taken(), rig.is_taken());
    rig.is_taken().await;
    assert_eq!(rig.connections(), [1, 2, 3, 3, 3, 3]);
    rig.finish().await;
}

/// A token is renewed after 50 minutes, on the connection that had it for longer than Apple wants.
#[tokio::test]
async fn a_token_that_is_renewed_in_time_costs_no_connection() {
    let rig = Rig::start().await;
    rig.is_taken().await;
    rig.advance(50);
    rig.is_taken().await;
    assert_eq!(rig.connections(), [1, 1]);
    let counted = rig.doubles.handle().counters(Service::Apns);
    assert_eq!(counted.distinct_credentials, 2);
    rig.finish().await;
}

/// The same, where the connection is younger than that.
#[tokio::test]
async fn a_young_connection_is_given_up_for_the_token_that_is_renewed() {
    let rig = Rig::start().await;
    rig.is_taken().await;
    rig.advance(40);
    rig.doubles
        .handle()
        .script(FaultSpec::once(Service::Apns, FaultKind::GoAwayUnprocessed));
    rig.is_taken().await;
    rig.advance(10);
    rig.is_taken().await;
    rig.advance(49);
    rig.is_taken().await;
    rig.advance(1);
    rig.is_taken().await;
    assert_eq!(rig.connections(), [1, 2, 3, 3, 3]);
    rig.finish().await;
}
