//! The shape of the file: which keys there are, before anything is asked of their values.
//!
//! Every value keeps its place, so that what is found wrong later can still be pointed at. Unknown keys are refused
//! here: a misspelt key that is passed over in silence is a setting that the operator believes in.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, Value};

/// One value with its place, if it is there.
pub(super) type Leaf = Option<Spanned<Value>>;

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields, expecting = "a section with keys of its own")]
        pub(super) struct $name {
            $(pub(super) $field: $kind,)*
        }
    };
    ($(#[$doc:meta])* $name:ident: $($field:ident)*) => {
        section!($(#[$doc])* $name { $($field: Leaf),* });
    };
}

section!(
    /// The whole file.
    File {
        server: Server,
        store: Store,
        delivery: Delivery,
        log: Log,
        app: Vec<Spanned<App>>,
    }
);
section!(
    /// `[server]`.
    Server {
        listen: Leaf,
        public_url: Leaf,
        metrics_listen: Leaf,
        tls: Option<Spanned<Tls>>,
        plain_http: Leaf,
        trusted_proxies: Leaf,
        forwarded_header: Leaf,
        limits: Limits,
    }
);
section!(
    /// `[server.tls]`.
    Tls: cert_file key_file
);
section!(
    /// `[server.limits]`.
    Limits: body audience_body nesting endpoints_per_user streams_per_user notifications_per_user tokens_per_user batch_ids audience
        broadcasts_per_app raw_content title visual_body app_id connections requests_per_address requests_per_key
        requests_per_user
);
section!(
    /// `[store]`.
    Store: path min_free_bytes cache_bytes verify_on_start
);
section!(
    /// `[delivery]`.
    Delivery: stream_grace silent_per_hour retap_after min_fallback_delay endpoint_expiry retry_base retry_max
        concurrency
);
section!(
    /// `[log]`.
    Log: format level
);
section!(
    /// `[[app]]`.
    App {
        host: Leaf,
        privacy: Leaf,
        badge: Leaf,
        origins: Leaf,
        delegated_post: Leaf,
        limits: AppLimits,
        identity: Option<Spanned<Identity>>,
        placeholder: Option<Spanned<Text>>,
        placeholders: BTreeMap<String, Spanned<Text>>,
        apns: Option<Spanned<Apns>>,
        fcm: Option<Spanned<Fcm>>,
        webpush: Option<Spanned<WebPush>>,
        wns: Option<Spanned<Wns>>,
    }
);
section!(
    /// `[app.limits]`.
    AppLimits: requests_per_key requests_per_user
);
section!(
    /// `[app.identity]`.
    Identity: issuer audience jwks_file jwks_url ca_file user_claim algorithms
);
section!(
    /// A placeholder.
    Text: title body
);
section!(
    /// `[app.apns]`.
    Apns: key_file key_id team_id certificate_file topic sound category environment endpoint ca_file
);
section!(
    /// `[app.fcm]`.
    Fcm: service_account_file channel_id endpoint token_endpoint ca_file
);
section!(
    /// `[app.webpush]`.
    WebPush: subject key_file allowed_hosts hosts ca_file
);
section!(
    /// `[app.wns]`.
    Wns: tenant_id client_id client_secret_file token_endpoint allowed_hosts placeholder_toast ca_file
);
