//! For whom something is done, and on whose word.

use super::{
    Error,
    access::{Proof, REVOKED, UserCaller},
    erase::is_from_before,
};
use crate::{
    model::{AppHost, Subject},
    store::Reader,
};

/// The person for whom something is done. Where their own client asks, its word must hold still when it is done: they may
/// have been erased while it waited.
#[derive(Debug, Clone)]
pub struct Asker {
    subject: Subject,
    proof: Option<Proof>,
}

impl Asker {
    /// The person.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Their app.
    pub fn app(&self) -> &AppHost {
        &self.subject.app
    }

    /// Asked under the user's lock.
    pub(super) fn must_still_be_good(&self, reader: &Reader) -> Result<(), Error> {
        let holds = match &self.proof {
            None => true,
            Some(Proof::Token(hash)) => reader.token(hash)?.is_some(),
            Some(Proof::Foreign { issued, .. }) => {
                !is_from_before(reader.erasure(&self.subject)?.as_ref(), *issued)
            }
        };
        if holds { Ok(()) } else { Err(REVOKED) }
    }
}

impl From<Subject> for Asker {
    fn from(subject: Subject) -> Self {
        Self {
            subject,
            proof: None,
        }
    }
}

impl From<UserCaller> for Asker {
    fn from(caller: UserCaller) -> Self {
        Self {
            subject: caller.subject,
            proof: Some(caller.proof),
        }
    }
}
