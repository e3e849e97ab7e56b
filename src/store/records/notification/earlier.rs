//! What earlier versions wrote of a notification; it stays readable for ever.

use serde::{Deserialize, Serialize};

use super::{StoredNotification, StoredState};
use crate::{
    model::ActionState,
    store::{Error, codec},
};

/// The form of versions 2 and 3, which did not know what had been dealt with before.
#[derive(Serialize, Deserialize)]
struct StoredVersion {
    version: u64,
    state: StoredState,
}

/// The form of versions 4 and 5, which did not know since when.
#[derive(Serialize, Deserialize)]
struct StoredHandled {
    version: u64,
    state: StoredState,
    handled: bool,
}

/// Rows with content of their own, and those that share it, before it was kept since when it has been dealt with.
const WITHOUT_SINCE: [u8; 2] = [4, 5];
/// The same before what had been dealt with was kept.
const EARLIER: [u8; 2] = [2, 3];

/// The version before a notification had versions.
const FIRST: u8 = 1;

const UNTOUCHED: u8 = ActionState::NoInteraction as u8;
const ACTIVATED: u8 = ActionState::Activated as u8;
const DISMISSED: u8 = ActionState::Dismissed as u8;

impl From<StoredVersion> for StoredHandled {
    fn from(StoredVersion { version, state }: StoredVersion) -> Self {
        Self {
            handled: state.read || [ACTIVATED, DISMISSED].contains(&state.action),
            version,
            state,
        }
    }
}

impl From<StoredHandled> for StoredNotification {
    fn from(stored: StoredHandled) -> Self {
        let state = stored.state;
        let stands = state.read || state.action != UNTOUCHED || state.removed.is_some();
        Self {
            version: stored.version,
            handled: stored.handled,
            handled_since: stands.then_some(state.modified),
            state,
        }
    }
}

/// What a row of an earlier version says; nothing where it is none.
pub(super) fn decode(bytes: &[u8]) -> Option<Result<StoredNotification, Error>> {
    let form = *bytes.first()?;
    let stored = match form {
        FIRST => codec::decode(form, bytes)
            .map(|state| StoredHandled::from(StoredVersion { version: 1, state })),
        _ if EARLIER.contains(&form) => {
            codec::decode::<StoredVersion>(form, bytes).map(StoredHandled::from)
        }
        _ if WITHOUT_SINCE.contains(&form) => codec::decode(form, bytes),
        _ => return None,
    };
    Some(stored.map(StoredNotification::from))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{decode_notification, decode_row, encode_content, encode_notification},
        *,
    };
    use crate::store::tests::notification;

    #[test]
    fn what_an_earlier_form_holds_as_dealt_with_was_dealt_with() {
        for (action, handled) in [
            (ActionState::NoInteraction, false),
            (ActionState::Snoozed, false),
            (ActionState::Activated, true),
            (ActionState::Dismissed, true),
        ] {
            let mut it = notification(1, String::from("raw"));
            it.action = action;
            let content = encode_content(&it.draft).unwrap();
            let row = decode_row(&encode_notification(&it).unwrap()).unwrap();
            let earlier = StoredVersion {
                version: row.version,
                state: row.state,
            };
            it.handled = handled;
            it.handled_since = it.handling().map(|_| it.modified);
            for form in EARLIER {
                let row = decode_row(&codec::encode(form, &earlier).unwrap()).unwrap();
                assert_eq!(decode_notification(row, &content).unwrap(), it);
            }
            let later = StoredHandled::from(earlier);
            for form in WITHOUT_SINCE {
                let row = decode_row(&codec::encode(form, &later).unwrap()).unwrap();
                assert_eq!(decode_notification(row, &content).unwrap(), it);
            }
        }
    }
}
