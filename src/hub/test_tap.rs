//! A tap on request: an operator or an app's server wants to know now whether a device can be reached. It goes the way
//! of all taps and settles nothing that the endpoint is owed.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    DueTap, Error, Hub,
    due::{self, Level},
    levels::Rules,
};
use crate::{
    model::{
        ChannelKind, EndpointId, Priority, ServiceAnswer, Subject, Tap, TapKind, TapState,
        Timestamp,
    },
    store,
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the push service may keep the tap.
const LIFE: Duration = Duration::from_secs(300);
/// How many tests may wait for the dispatcher.
const QUEUE: usize = 16;

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// In one word.
    pub result: TestResult,
    /// The push service's own words, where it was asked.
    pub answer: Option<ServiceAnswer>,
    /// In one sentence.
    pub explanation: String,
}

/// What came of a test, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestResult {
    /// The push service took the tap. Whether it arrives is the device's to say.
    Accepted,
    /// The push service says that the channel is dead; it was dropped.
    Gone,
    /// It took no tap.
    Failed,
}

impl TestResult {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Gone, Self::Failed];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }
}

impl Tested {
    /// One that did not reach the push service.
    pub fn unsent(explanation: impl Into<String>) -> Self {
        Self {
            result: TestResult::Failed,
            answer: None,
            explanation: explanation.into(),
        }
    }
}

/// A test on its way to the dispatcher.
#[derive(Debug)]
pub struct TestRequest {
    /// Whose device.
    pub subject: Subject,
    /// Which.
    pub endpoint: EndpointId,
    /// Where the answer is waited for.
    pub answer: oneshot::Sender<Tested>,
}

type Running = Arc<Mutex<HashSet<(Subject, EndpointId)>>>;

/// The tests of a hub: those asked for, and which run.
#[derive(Debug)]
pub(super) struct Tests {
    queue: mpsc::Sender<TestRequest>,
    asked: Mutex<Option<mpsc::Receiver<TestRequest>>>,
    running: Running,
}

impl Default for Tests {
    fn default() -> Self {
        let (queue, asked) = mpsc::channel(QUEUE);
        Self {
            queue,
            asked: Mutex::new(Some(asked)),
            running: Running::default(),
        }
    }
}

/// Ends the entry of its test when dropped.
struct Entry(Running, (Subject, EndpointId));

impl Tests {
    fn begin(&self, subject: &Subject, endpoint: &EndpointId) -> Result<Entry, Error> {
        let entry = (subject.clone(), endpoint.clone());
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if !running.insert(entry.clone()) {
            return Err(Error::Conflict(
                "a test of this endpoint is under way; ask again when it is over",
            ));
        }
        Ok(Entry(Arc::clone(&self.running), entry))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.1);
    }
}

impl Hub {
    /// Sends a tap of the kind `test` to one endpoint now, whatever its budget says, and tells what the push service
    /// answered; waits for that at most 30 s. It keeps to one push a second, to the service's `Retry-After`, and to one
    /// push at a time. Nothing changes about what the endpoint is owed; a channel found dead is dropped as ever.
    ///
    /// # Errors
    /// `EndpointNotFound` where there is none, or its time is over; `Conflict` where it has no channel, or a test of it
    /// runs; `Store`, also where the hub stops meanwhile.
    pub async fn test_endpoint(
        &self,
        subject: Subject,
        endpoint: EndpointId,
    ) -> Result<Tested, Error> {
        let (now, of, id) = (self.now(), subject.clone(), endpoint.clone());
        let found = self
            .store
            .ask(move |reader| Ok::<_, Error>(reader.endpoint(&of, &id)?))
            .await?
            .filter(|endpoint| endpoint.expires > now)
            .map(|endpoint| endpoint.at(now))
            .ok_or(Error::NotFound("endpoint"))?;
        if found.channel.kind() == ChannelKind::None {
            return Err(Error::Conflict(match found.gone {
                Some(_) => "the endpoint's channel is gone; the app has to register again",
                None => "the endpoint has no push channel; it streams or pulls",
            }));
        }
        let _running = self.tests.begin(&subject, &endpoint)?;
        let (answer, answered) = oneshot::channel();
        let request = TestRequest {
            subject,
            endpoint,
            answer,
        };
        let asked = async {
            let closed = |_| Error::Store(store::Error::Closed);
            self.tests.queue.send(request).await.map_err(closed)?;
            answered
                .await
                .map_err(|_| Error::Store(store::Error::Closed))
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(tested) => tested,
            Err(_) => Ok(Tested::unsent(
                "no answer within 30 s; the push service may still take the tap",
            )),
        }
    }

    /// The tests asked for: for the one dispatcher of the hub; nothing, the second time.
    pub fn take_tests(&self) -> Option<mpsc::Receiver<TestRequest>> {
        let mut asked = self
            .tests
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        asked.take()
    }
}

/// What a look finds out about a test.
pub(super) enum Plan {
    /// It leaves now.
    Push(Box<DueTap>),
    /// It waits, for what left a moment ago.
    Wait(Timestamp),
    /// It does not leave.
    Answer(Tested),
}

/// Plans a test on where the endpoint stands; `state` is what is kept of it with the look.
pub(super) fn plan(subject: &Subject, level: &Level, state: TapState, rules: &Rules<'_>) -> Plan {
    let now = rules.now;
    if level.endpoint.channel.kind() == ChannelKind::None || level.endpoint.expires <= now {
        return Plan::Answer(Tested::unsent(
            "the endpoint lost its channel meanwhile; the app has to register again",
        ));
    }
    // What the hub waits for by itself a test need not.
    if state.demanded > now {
        let explanation = format!(
            "the push service has to be left alone until {}",
            state.demanded
        );
        return Plan::Answer(Tested {
            result: TestResult::Failed,
            answer: state.answer,
            explanation,
        });
    }
    if let Some(until) = due::gap_until(&state, now) {
        return Plan::Wait(until);
    }
    Plan::Push(Box::new(DueTap {
        subject: subject.clone(),
        level: level.clone(),
        tap: Tap {
            kind: TapKind::Test,
            shows: None,
            visible: false,
            covers: level.base(),
            priority: Priority::None,
            ahead: true,
            expires: now.plus(LIFE),
            since: now,
        },
        notification: None,
        unread: 0,
        displayed: false,
        state,
        seen: rules.seen,
        // It is due whatever the time is.
        planned: Timestamp::default(),
    }))
}
