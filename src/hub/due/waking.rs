//! What a tap is to the device: something that the platform puts on the screen, or a call to the app to fetch.

use super::decision::Due;
use crate::{
    config::apps::Privacy,
    model::{ChannelKind, TapKind},
};

impl Due<'_> {
    /// Whether the platform itself shows a visible push, rather than waking the app to do so.
    pub(super) fn is_displayed(&self, kind: TapKind) -> bool {
        let direct = self.app.privacy == Privacy::Direct;
        let toast = self
            .app
            .wns
            .as_ref()
            .is_some_and(|wns| wns.placeholder_toast);
        match self.level.endpoint.channel.kind() {
            ChannelKind::Apns => true,
            ChannelKind::Fcm => direct || kind == TapKind::Fallback,
            ChannelKind::Wns => direct || toast || self.state.toast || kind == TapKind::Fallback,
            ChannelKind::WebPush | ChannelKind::None => false,
        }
    }

    /// Whether the last tap woke the app, which has not fetched since. What the platform shows by itself wakes none, and waits
    /// for the person alone.
    pub(super) fn awaits_an_answer(&self) -> bool {
        let direct = self.app.privacy == Privacy::Direct;
        let woke = match self.level.endpoint.channel.kind() {
            ChannelKind::Apns | ChannelKind::Fcm => !direct,
            ChannelKind::Wns => !self.is_displayed(TapKind::Created),
            ChannelKind::WebPush | ChannelKind::None => true,
        };
        self.level.is_unanswered() && (self.state.tapped_silently || woke)
    }
}
