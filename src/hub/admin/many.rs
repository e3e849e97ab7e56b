//! What operators post to many.

use serde_json::Value;

use super::{AdminError, Post, show};
use crate::{
    hub::Hub,
    model::{Audience, BroadcastId, Fault, UserId},
};

use super::super::Error;

/// How many wrong users are named one by one.
const NAMED_FAULTS: usize = 20;

impl Hub {
    pub(super) async fn admin_send_many(
        &self,
        app: &str,
        users: Option<Vec<String>>,
        post: Post,
    ) -> Result<Value, AdminError> {
        let app = self.known(app)?;
        let audience = match users {
            None => Audience::All,
            Some(users) => named(users, self.limits().audience)?,
        };
        let draft = post.check(self.limits(), self.now())?;
        let accepted = self.broadcast(app.clone(), audience, draft, None).await?;
        let job = self.broadcast_of(&app, accepted.id).await?;
        Ok(show::broadcast(&job))
    }

    pub(super) async fn admin_broadcast(&self, app: &str, id: &str) -> Result<Value, AdminError> {
        let app = self.known(app)?;
        let id = BroadcastId::parse(id).ok_or(Error::NotFound("job"))?;
        Ok(show::broadcast(&self.broadcast_of(&app, id).await?))
    }
}

/// The users, each once; all that are none are said at once.
fn named(mut users: Vec<String>, max: usize) -> Result<Audience, Error> {
    const FLAG: &str = "--users";
    let mut seen = std::collections::HashSet::new();
    users.retain(|user| seen.insert(user.clone()));
    if users.is_empty() {
        let message = "names nobody; write one user id a line, or send to --all";
        return Err(Error::invalid(FLAG, message));
    }
    if users.len() > max {
        let message = format!(
            "names {} users; server.limits.audience allows {max}: send to fewer at a time, or to --all",
            users.len()
        );
        return Err(Error::invalid(FLAG, message));
    }
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    for user in users {
        match UserId::parse(&user) {
            Ok(user) => good.push(user),
            Err(why) => faults.push(Fault::new(FLAG, format!("has {user:?}, which {why}"))),
        }
    }
    if faults.is_empty() {
        return Ok(Audience::Named(good));
    }
    let more = faults.len().saturating_sub(NAMED_FAULTS);
    faults.truncate(NAMED_FAULTS);
    if more > 0 {
        faults.push(Fault::new(
            FLAG,
            format!("has {more} more that are no user ids"),
        ));
    }
    Err(Error::Invalid(faults))
}
