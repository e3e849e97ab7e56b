//! What the hub hands out and takes back unread: cursors, page tokens and access tokens, signed with the store's
//! secret, so that an invented or foreign one is known as such.

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::model::{AppHost, FeedPosition, Subject, Timestamp};

const MAC_BYTES: usize = 12;

/// Signs and checks.
#[derive(Debug)]
pub(super) struct Seal {
    key: hmac::Key,
    epoch: u64,
}

/// What a feed position is handed out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A cursor of a feed.
    Cursor,
    /// A page of history.
    Page,
    /// A page of a first delta, which began without a cursor.
    Sync,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Cursor => b"cursor",
            Self::Page => b"page",
            Self::Sync => b"sync",
        }
    }
}

impl Seal {
    pub(super) fn new(secret: &[u8; 32], epoch: u64) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            epoch,
        }
    }

    /// Writes a position of a user's feed so that only this hub, in this epoch, reads it back for this user.
    pub(super) fn position(&self, purpose: Purpose, subject: &Subject, at: FeedPosition) -> String {
        self.positions(purpose, subject, [at])
    }

    /// Reads such a position; nothing, where it was not handed out for this.
    pub(super) fn open_position(
        &self,
        purpose: Purpose,
        subject: &Subject,
        text: &str,
    ) -> Option<FeedPosition> {
        let [at] = self.open_positions(purpose, subject, text)?;
        Some(at)
    }

    /// The same of several.
    pub(super) fn positions<const N: usize>(
        &self,
        purpose: Purpose,
        subject: &Subject,
        at: [FeedPosition; N],
    ) -> String {
        let mut bytes: Vec<u8> = at.iter().flat_map(|at| at.0.to_be_bytes()).collect();
        bytes.extend(self.mac(purpose, subject, &at));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The same of several.
    pub(super) fn open_positions<const N: usize>(
        &self,
        purpose: Purpose,
        subject: &Subject,
        text: &str,
    ) -> Option<[FeedPosition; N]> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut mac = bytes.as_slice();
        let mut found = [FeedPosition::START; N];
        for at in &mut found {
            let (number, rest) = mac.split_first_chunk::<8>()?;
            *at = FeedPosition(u64::from_be_bytes(*number));
            mac = rest;
        }
        constant_time::verify_slices_are_equal(&self.mac(purpose, subject, &found), mac).ok()?;
        Some(found)
    }

    fn mac(&self, purpose: Purpose, subject: &Subject, at: &[FeedPosition]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(purpose.label());
        context.update(&self.epoch.to_be_bytes());
        context.update(subject.app.as_str().as_bytes());
        context.update(&[0]);
        context.update(subject.user.as_str().as_bytes());
        context.update(&[0]);
        for at in at {
            context.update(&at.0.to_be_bytes());
        }
        context.sign().as_ref()[..MAC_BYTES].to_vec()
    }

    /// An access token for an app key, good until `expires`.
    pub(super) fn access(&self, app: &AppHost, key_id: &str, expires: Timestamp) -> String {
        let body = format!("{}.{}.{}", expires.as_millis(), key_id, app.as_str());
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, &access_label(&body)));
        format!("{}.{mac}", URL_SAFE_NO_PAD.encode(body))
    }

    /// What an access token says: the app, the key, and until when. Nothing, where it is not ours.
    pub(super) fn open_access(&self, text: &str) -> Option<(AppHost, String, Timestamp)> {
        let (body, mac) = text.split_once('.')?;
        let body = String::from_utf8(URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        hmac::verify(&self.key, &access_label(&body), &mac).ok()?;
        let mut parts = body.splitn(3, '.');
        let expires = Timestamp::from_millis(parts.next()?.parse().ok()?);
        let key_id = parts.next()?.to_owned();
        Some((AppHost::parse(parts.next()?).ok()?, key_id, expires))
    }
}

fn access_label(body: &str) -> Vec<u8> {
    [b"access\0", body.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserId;

    fn subject(user: &str) -> Subject {
        Subject {
            app: AppHost::parse("a.example").unwrap(),
            user: UserId::parse(user).unwrap(),
        }
    }

    #[test]
    fn a_position_is_read_back_for_its_user_purpose_and_epoch_alone() {
        let seal = Seal::new(&[7; 32], 1);
        let at = FeedPosition(42);
        let text = seal.position(Purpose::Cursor, &subject("ada"), at);
        assert_eq!(
            seal.open_position(Purpose::Cursor, &subject("ada"), &text),
            Some(at)
        );
        assert_eq!(
            seal.open_position(Purpose::Page, &subject("ada"), &text),
            None
        );
        assert_eq!(
            seal.open_position(Purpose::Cursor, &subject("bob"), &text),
            None
        );
        let later = Seal::new(&[7; 32], 2);
        assert_eq!(
            later.open_position(Purpose::Cursor, &subject("ada"), &text),
            None
        );
        for bad in ["", "x", "AAAA", &text[1..], &format!("{text}A")] {
            assert_eq!(
                seal.open_position(Purpose::Cursor, &subject("ada"), bad),
                None,
                "{bad}"
            );
        }
    }

    #[test]
    fn access_tokens_are_ours_alone() {
        let seal = Seal::new(&[7; 32], 1);
        let app = AppHost::parse("a.example").unwrap();
        let token = seal.access(&app, "k1", Timestamp::from_millis(5));
        let opened = seal.open_access(&token).unwrap();
        assert_eq!(opened, (app, String::from("k1"), Timestamp::from_millis(5)));
        assert!(Seal::new(&[8; 32], 1).open_access(&token).is_none());
        assert!(seal.open_access(&token[1..]).is_none());
        assert!(seal.open_access("").is_none());
    }
}
