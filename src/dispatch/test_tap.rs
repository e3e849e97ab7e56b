//! Taps on request: from the hub's queue to the endpoint's lane, and what the push service said back to who asked.

use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Dispatcher, compose, lane::Way, retry};
use crate::{
    hub::{DueTap, TestRequest, TestResult, Tested},
    model::ServiceAnswer,
    push::outcome::{Outcome, Verdict},
};

/// The next test that is asked for.
pub(super) async fn next(tests: &mut Option<mpsc::Receiver<TestRequest>>) -> Option<TestRequest> {
    match tests {
        Some(tests) => tests.recv().await,
        None => None,
    }
}

impl Dispatcher {
    /// Has the user looked at, with the test in mind.
    pub(super) fn test(&mut self, request: TestRequest) {
        self.jobs.begin(&request.subject, |job| {
            // One at a time an endpoint; an earlier one that nobody waits for any more makes room.
            job.tests.insert(request.endpoint, request.answer)
        });
        self.look(&request.subject);
    }
}

impl Way {
    /// Sends a test and says what came of it. It settles nothing that the endpoint is owed.
    pub(super) async fn test(&self, due: &DueTap) -> Tested {
        let now = self.hub.now();
        let pass = match self.gate.admit_test(&due.level.endpoint.channel, now) {
            Ok(pass) => pass,
            Err(until) => {
                return Tested::unsent(format!(
                    "all pushes to this service stand still until {until}, as it demanded or for settings that it refuses; `beckon check` says more"
                ));
            }
        };
        match self.hub.still_due(due) {
            Ok(true) => {}
            Ok(false) => {
                return Tested::unsent("the endpoint has changed meanwhile; test it again");
            }
            Err(error) => {
                tracing::error!(%error, "a test cannot be looked at again before it leaves");
                return Tested::unsent("the hub's store cannot be read; see its log");
            }
        }
        let Some((message, _)) = compose::compose(due, &self.app, self.hub.delivery(), now) else {
            return Tested::unsent("the endpoint has no push channel; it streams or pulls");
        };
        let wall = self.hub.clock().wall();
        let outcome = self
            .send(due, &message, (Uuid::new_v4(), wall), &pass)
            .await;
        let state = retry::tested(due, &outcome, self.hub.delivery(), self.hub.now());
        self.keep(due, state, None).await;
        told(outcome)
    }
}

/// An outcome in words.
fn told(outcome: Outcome) -> Tested {
    let (result, text) = match outcome.verdict {
        Verdict::Accepted => (
            TestResult::Accepted,
            "the push service took the tap; whether it arrived is the device's to say",
        ),
        Verdict::Dropped => (
            TestResult::Failed,
            "the push service took the request and dropped the tap: the app is not running, or the device turns pushes away",
        ),
        Verdict::Gone { .. } => (
            TestResult::Gone,
            "the channel is dead; the app has to register again",
        ),
        Verdict::Retry { .. } if outcome.answer.is_unsent() => {
            (TestResult::Failed, "the tap could not leave")
        }
        Verdict::Retry { .. } if outcome.answer.status == 0 => (
            TestResult::Failed,
            "the push service did not answer; it is tried again with the next tap",
        ),
        Verdict::Retry { .. } => (TestResult::Failed, "the push service cannot take it now"),
        Verdict::Rejected => (
            TestResult::Failed,
            "the push service refused the tap as wrong",
        ),
        Verdict::Held => (TestResult::Failed, "the tap could not leave"),
        Verdict::Misconfigured => (
            TestResult::Failed,
            "the push service refuses the hub's settings; run `beckon check`",
        ),
    };
    Tested {
        result,
        explanation: with_answer(text, &outcome.answer),
        answer: Some(outcome.answer),
    }
}

fn with_answer(text: &str, answer: &ServiceAnswer) -> String {
    match (answer.status, &answer.reason) {
        (0, None) => text.to_owned(),
        (0, Some(reason)) => format!("{text} ({reason})"),
        (status, None) => format!("{text} (it answered {status})"),
        (status, Some(reason)) => format!("{text} (it answered {status} {reason})"),
    }
}
