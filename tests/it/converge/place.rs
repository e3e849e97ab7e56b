//! Where the hub of a walk runs: in the test, stopped as by a supervisor, or as a process, which is killed.

use std::{net::SocketAddr, time::Duration};

use beckon::{
    config::Config,
    doubles::Handle,
    model::{AppHost, Subject, UserId},
};

use crate::support::{ChildHub, Client, TestHub, hub::APP};

pub enum Place {
    Inside(Option<TestHub>),
    Child(Option<ChildHub>),
}

/// Delivery with waits that a test can sit out.
pub fn quick(config: &mut Config) {
    config.delivery.stream_grace = Duration::from_millis(200);
    config.delivery.silent_per_hour = 600;
    config.delivery.retap_after = Duration::from_secs(1);
    config.delivery.min_fallback_delay = Duration::from_secs(1);
    config.delivery.retry_base = Duration::from_millis(20);
    config.delivery.retry_max = Duration::from_millis(200);
}

impl Place {
    pub fn addr(&self) -> SocketAddr {
        match self {
            Self::Inside(hub) => hub.as_ref().unwrap().running().addr,
            Self::Child(hub) => hub.as_ref().unwrap().addr(),
        }
    }

    pub fn key(&self) -> &str {
        match self {
            Self::Inside(hub) => &hub.as_ref().unwrap().key,
            Self::Child(hub) => &hub.as_ref().unwrap().key,
        }
    }

    pub fn app(&self) -> Client {
        Client::new(self.addr()).bearer(self.key())
    }

    pub fn doubles(&self) -> &Handle {
        match self {
            Self::Inside(hub) => hub.as_ref().unwrap().doubles(),
            Self::Child(hub) => hub.as_ref().unwrap().doubles(),
        }
    }

    /// Stops or kills the hub, checks the store, and starts it again.
    pub async fn restart(&mut self) {
        match self {
            Self::Inside(hub) => {
                let hub = hub.as_mut().unwrap();
                hub.restart().await;
                let findings = hub.running().hub.store().reader().verify().unwrap();
                assert!(findings.is_empty(), "{findings:#?}");
            }
            Self::Child(hub) => {
                let hub = hub.as_mut().unwrap();
                hub.kill();
                hub.verify();
                hub.begin().await;
            }
        }
    }

    /// Contract 3.2; of a process of its own, as the operator looks at it.
    pub async fn nobody_is_forgotten(&self, people: &[&str]) {
        let hub = match self {
            Self::Inside(Some(hub)) => hub,
            Self::Child(Some(hub)) => return tokio::task::block_in_place(|| hub.verify()),
            Self::Inside(None) | Self::Child(None) => return,
        };
        for user in people {
            let subject = Subject {
                app: AppHost::parse(APP).unwrap(),
                user: UserId::parse(user).unwrap(),
            };
            let forgotten = hub.running().hub.forgotten(subject).await.unwrap();
            assert!(forgotten.is_empty(), "{user}: {forgotten:?}");
        }
    }

    pub fn take(&mut self) -> Self {
        match self {
            Self::Inside(hub) => Self::Inside(hub.take()),
            Self::Child(hub) => Self::Child(hub.take()),
        }
    }

    pub async fn finish(self) {
        match self {
            Self::Inside(hub) => hub.unwrap().finish().await,
            Self::Child(hub) => {
                let mut hub = hub.unwrap();
                hub.kill();
                hub.verify();
            }
        }
    }
}
