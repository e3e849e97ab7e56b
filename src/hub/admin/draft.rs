//! From the flags of `beckon send` to a checked post.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::{Error, MAX_EXPIRY};
use crate::{
    config::Limits,
    model::{Draft, Fault, Platform, Priority, Timestamp, Ttl, VisualContent},
};

/// What `beckon send` was told, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Post {
    /// `--title`.
    pub title: Option<String>,
    /// `--body`; needs a title.
    pub body: Option<String>,
    /// `--raw`.
    pub raw: Option<String>,
    /// `--priority`: `None`, `High` or `Low`, in any case.
    pub priority: Option<String>,
    /// `--group`.
    pub group: Option<String>,
    /// `--id`, the app's own.
    pub app_notification_id: Option<String>,
    /// `--platform`, as often as given; empty is all.
    pub platforms: Vec<String>,
    /// `--expires`, from now; at most 30 days.
    pub expires_secs: Option<u64>,
    /// `--display-ttl`.
    pub display_ttl_secs: Option<u64>,
}

impl Post {
    /// Reads every field and gathers all that is wrong.
    pub(super) fn check(self, limits: &Limits, now: Timestamp) -> Result<Draft, Error> {
        let mut faults = Faults::default();
        let title = faults.text("--title", self.title, (limits.title, "title"));
        let body = faults.text("--body", self.body, (limits.visual_body, "visual_body"));
        let raw = faults.text("--raw", self.raw, (limits.raw_content, "raw_content"));
        if body.is_some() && title.is_none() {
            faults.add("--body", "needs a --title");
        }
        if title.is_none() && raw.is_none() {
            faults.add("--title", "or --raw is missing; write at least one of them");
        }
        let draft = Draft {
            app_id: faults.text("--id", self.app_notification_id, (limits.app_id, "app_id")),
            group: faults.text("--group", self.group, (limits.app_id, "app_id")),
            platforms: faults.platforms(&self.platforms),
            raw,
            visual: title.map(|title| VisualContent { title, body }),
            display_ttl: faults.display_ttl(self.display_ttl_secs),
            expires: faults.expiry(self.expires_secs, now),
            priority: faults.priority(self.priority.as_deref()),
            fallback: None,
        };
        match faults.0 {
            faults if faults.is_empty() => Ok(draft),
            faults => Err(Error::Invalid(faults)),
        }
    }
}

#[derive(Debug, Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, flag: &'static str, message: impl Into<String>) {
        self.0.push(Fault::new(flag, message));
    }

    fn text(
        &mut self,
        flag: &'static str,
        text: Option<String>,
        (max, key): (usize, &str),
    ) -> Option<String> {
        let length = text.as_ref()?.len();
        if length == 0 {
            self.add(flag, "is empty; write a text, or leave it out");
        } else if length > max {
            let message =
                format!("is {length} bytes long; the limit is {max} (server.limits.{key})");
            self.add(flag, message);
        }
        text
    }

    fn platforms(&mut self, names: &[String]) -> Option<Vec<Platform>> {
        let mut platforms = Vec::new();
        for name in names {
            match Platform::parse(name) {
                Some(platform) if platforms.contains(&platform) => {}
                Some(platform) => platforms.push(platform),
                None => self.add(
                    "--platform",
                    "is not known; write windows, iOS, android or webPush",
                ),
            }
        }
        // In one order, as the API keeps them: another order is no other content.
        platforms.sort();
        (!platforms.is_empty()).then_some(platforms)
    }

    fn priority(&mut self, name: Option<&str>) -> Priority {
        let parsed = name.map_or(Some(Priority::None), Priority::parse);
        parsed.unwrap_or_else(|| {
            self.add("--priority", "is not known; write High, Low or None");
            Priority::None
        })
    }

    fn display_ttl(&mut self, secs: Option<u64>) -> Option<Ttl> {
        let secs = secs?;
        let ttl = i64::try_from(secs).ok().and_then(Ttl::from_secs);
        if ttl.is_none() {
            self.add("--display-ttl", "is out of range; write 1s to 24855d");
        }
        ttl
    }

    fn expiry(&mut self, secs: Option<u64>, now: Timestamp) -> Option<Timestamp> {
        let secs = secs?;
        if !(1..=MAX_EXPIRY.as_secs()).contains(&secs) {
            self.add("--expires", "is out of range; write 1s to 30d");
            return None;
        }
        Some(now.plus(Duration::from_secs(secs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(change: impl FnOnce(&mut Post)) -> Result<Draft, Vec<String>> {
        let mut post = Post {
            title: Some("Hello".into()),
            ..Post::default()
        };
        change(&mut post);
        let checked = post.check(&Limits::default(), Timestamp::from_millis(1000));
        checked.map_err(|error| match error {
            Error::Invalid(faults) => faults
                .iter()
                .map(|fault| format!("{} {}", fault.target, fault.message))
                .collect(),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn flags_become_a_draft() {
        let draft = told(|post| {
            post.body = Some("World".into());
            post.priority = Some("high".into());
            post.platforms = vec!["ios".into(), "iOS".into()];
            post.expires_secs = Some(60);
            post.display_ttl_secs = Some(5);
        })
        .unwrap();
        assert_eq!(draft.visual.unwrap().body.as_deref(), Some("World"));
        assert_eq!(draft.priority, Priority::High);
        assert_eq!(draft.platforms, Some(vec![Platform::Ios]));
        assert_eq!(draft.expires, Some(Timestamp::from_millis(61_000)));
        assert_eq!(draft.display_ttl, Ttl::from_secs(5));
    }

    #[test]
    fn what_is_wrong_names_its_flag() {
        let check = |change: fn(&mut Post), expected: &[&str]| {
            let faults = told(change).unwrap_err();
            assert_eq!(faults.len(), expected.len(), "{faults:?}");
            for (fault, begin) in faults.iter().zip(expected) {
                assert!(fault.starts_with(begin), "{fault} / {begin}");
            }
        };
        check(|post| post.title = None, &["--title or --raw is missing"]);
        check(
            |post| (post.title, post.body) = (None, Some("x".into())),
            &["--body needs", "--title or --raw"],
        );
        check(
            |post| post.title = Some("x".repeat(257)),
            &["--title is 257 bytes long; the limit is 256 (server.limits.title)"],
        );
        check(|post| post.raw = Some(String::new()), &["--raw is empty"]);
        check(
            |post| post.platforms = vec!["tv".into()],
            &["--platform is not known"],
        );
        check(
            |post| post.priority = Some("urgent".into()),
            &["--priority is not known"],
        );
        check(
            |post| post.expires_secs = Some(30 * 86_400 + 1),
            &["--expires is out of range"],
        );
        check(
            |post| post.display_ttl_secs = Some(0),
            &["--display-ttl is out of range"],
        );
    }
}
