//! The answers of the web's push services, each in its own dress: Mozilla's autopush, Google's, Apple's, Microsoft's, and ntfy's.

use super::{Basis, Saying, Words};

/// What Apple puts on its answers.
const APPLE: &[(&str, &str)] = &[("apns-id", "00000000-0000-4000-8000-000000000000")];

/// Service by service.
pub(super) const SAYINGS: &[Saying] = &[
    Saying::of(
        "mozillaNotFound",
        404,
        Words::Empty,
        (Basis::Observed, "ap-src"),
    ),
    Saying::of(
        "mozillaBadUrl",
        404,
        Words::Autopush(102, "Request not found"),
        (Basis::Observed, "ap-src"),
    ),
    Saying::of(
        "mozillaUserGone",
        410,
        Words::Autopush(103, "User not found"),
        (Basis::Observed, "ap-src"),
    )
    .with(&[("cache-control", "max-age=86400")]),
    Saying::of(
        "mozillaGoneWhileRouting",
        410,
        Words::Autopush(105, "Request did not validate endpoint is not valid"),
        (Basis::Observed, "ap-src; text assumed"),
    )
    .with(&[("cache-control", "max-age=86400")]),
    Saying::of(
        "mozillaNoSubscription",
        410,
        Words::Autopush(106, "No such subscription"),
        (Basis::Observed, "ap-rec"),
    )
    .with(&[("cache-control", "max-age=86400")]),
    Saying::of(
        "mozillaTooLarge",
        413,
        Words::Autopush(104, "Data payload must be smaller than 4096"),
        (Basis::Observed, "ap-rec; text assumed"),
    ),
    Saying::of(
        "mozillaRouterType",
        400,
        Words::Autopush(108, "Invalid router type"),
        (Basis::Observed, "ap-src"),
    ),
    Saying::of(
        "mozillaVapidMismatch",
        401,
        Words::Autopush(109, "VAPID public key mismatch"),
        (Basis::Observed, "ap-rec"),
    ),
    Saying::of(
        "mozillaInvalidSignature",
        401,
        Words::Autopush(109, "InvalidSignature"),
        (Basis::Observed, "ap-rec"),
    ),
    Saying::of(
        "mozillaExpiredSignature",
        401,
        Words::Autopush(109, "ExpiredSignature"),
        (Basis::Observed, "ap-rec"),
    ),
    Saying::of(
        "mozillaInvalidAudience",
        401,
        Words::Autopush(109, "Invalid VAPID audience"),
        (Basis::Observed, "ap-rec"),
    ),
    Saying::of(
        "mozillaEncryption",
        400,
        Words::Autopush(110, "Unknown Content-Encoding header"),
        (Basis::Observed, "ap-rec"),
    ),
    Saying::of(
        "mozillaMissingTtl",
        400,
        Words::Autopush(111, "Missing TTL value"),
        (Basis::Observed, "ap-rec"),
    ),
    Saying::of(
        "mozillaTopic",
        400,
        Words::Autopush(113, "topic: Topic must be no greater than 32 characters"),
        (Basis::Observed, "ap-rec"),
    ),
    Saying::of(
        "mozillaNegativeTtl",
        400,
        Words::Autopush(114, "ttl: TTL must be greater than 0"),
        (Basis::Observed, "ap-rec"),
    ),
    Saying::of(
        "mozillaStorage",
        503,
        Words::Autopush(201, "Database error"),
        (Basis::Observed, "ap-src; text assumed"),
    )
    .after(120),
    Saying::of(
        "mozillaBridgeCredentials",
        502,
        Words::Autopush(901, "Bridge authentication error"),
        (Basis::Observed, "ap-src; text assumed"),
    ),
    Saying::of(
        "mozillaBridgeUnreachable",
        502,
        Words::Autopush(902, "Bridge unavailable"),
        (Basis::Observed, "ap-src; text assumed"),
    ),
    Saying::of(
        "mozillaBridgeTimeout",
        502,
        Words::Autopush(903, "Bridge timeout"),
        (Basis::Observed, "ap-src; text assumed"),
    ),
    Saying::of(
        "googleGone",
        410,
        Words::Text("push subscription has unsubscribed or expired."),
        (Basis::Observed, "field"),
    ),
    Saying::of(
        "googleNoAuthorization",
        401,
        Words::Text("authorization header must be specified."),
        (Basis::Observed, "web-push-php #325"),
    ),
    Saying::of(
        "googleUnauthorizedRegistration",
        400,
        Words::Html(
            "<HTML><HEAD><TITLE>UnauthorizedRegistration</TITLE></HEAD><BODY><H1>UnauthorizedRegistration</H1><H2>Error 400</H2></BODY></HTML>",
        ),
        (Basis::Observed, "field"),
    ),
    Saying::of(
        "googleVapidMismatch",
        403,
        Words::Text(
            "the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions.",
        ),
        (Basis::Observed, "field"),
    ),
    Saying::of(
        "googleInvalidEndpoint",
        403,
        Words::Text("invalid push subscription endpoint"),
        (Basis::Observed, "zaru #89"),
    ),
    Saying::of(
        "googleTooManyRequests",
        429,
        Words::Text("Too Many Requests"),
        (Basis::Observed, "field"),
    )
    .after(60),
    Saying::of(
        "appleBadTtl",
        400,
        Words::Reason("BadTtl"),
        (Basis::Documented, "W-apple"),
    )
    .with(APPLE),
    Saying::of(
        "appleBadUrgency",
        400,
        Words::Reason("BadUrgency"),
        (Basis::Documented, "W-apple"),
    )
    .with(APPLE),
    Saying::of(
        "appleBadRequest",
        400,
        Words::Reason("BadWebPushRequest"),
        (Basis::Documented, "W-apple"),
    )
    .with(APPLE),
    Saying::of(
        "appleBadTopic",
        400,
        Words::Reason("BadWebPushTopic"),
        (Basis::Observed, "W-apple; field"),
    )
    .with(APPLE),
    Saying::of(
        "appleVapidPkHashMismatch",
        400,
        Words::Reason("VapidPkHashMismatch"),
        (Basis::Observed, "field; Apple lists it among the 403"),
    )
    .with(APPLE),
    Saying::of(
        "appleVapidPkHashMismatch403",
        403,
        Words::Reason("VapidPkHashMismatch"),
        (Basis::Documented, "W-apple"),
    )
    .with(APPLE),
    Saying::of(
        "appleBadJwtToken",
        403,
        Words::Reason("BadJwtToken"),
        (Basis::Documented, "W-apple"),
    )
    .with(APPLE),
    Saying::of(
        "appleBadAuthorizationHeader",
        403,
        Words::Reason("BadAuthorizationHeader"),
        (Basis::Documented, "W-apple"),
    )
    .with(APPLE),
    Saying::of(
        "appleBadVapidPublicKey",
        403,
        Words::Reason("BadVapidPublicKey"),
        (Basis::Documented, "W-apple"),
    )
    .with(APPLE),
    Saying::of(
        "appleExpired",
        410,
        Words::Reason("Unregistered"),
        (Basis::Observed, "W-apple; reason assumed"),
    )
    .with(APPLE),
    Saying::of(
        "appleTooLarge",
        413,
        Words::Reason("PayloadTooLarge"),
        (Basis::Documented, "W-apple"),
    )
    .with(APPLE),
    Saying::of(
        "appleTooManyRequests",
        429,
        Words::Reason("TooManyRequests"),
        (Basis::Documented, "W-apple"),
    )
    .with(APPLE),
    Saying::of(
        "windowsBadTtl",
        400,
        Words::Empty,
        (Basis::Observed, "pywebpush #162; text assumed"),
    )
    .with(&[
        (
            "x-wns-error-description",
            "TTL value conflicts with X-WNS-Cache-Policy",
        ),
        ("x-wns-status", "dropped"),
    ]),
    Saying::of(
        "windowsGone",
        410,
        Words::Empty,
        (Basis::Observed, "field; text assumed"),
    )
    .with(&[
        ("x-wns-error-description", "The channel has expired"),
        ("x-wns-status", "dropped"),
    ]),
    Saying::of(
        "windowsDomainBlocked",
        410,
        Words::Empty,
        (
            Basis::Assumed,
            "N-head names the status; where the words stand is unverified",
        ),
    )
    .with(&[
        ("x-wns-error-description", "Domain Blocked"),
        ("x-wns-status", "dropped"),
    ]),
    Saying::of(
        "windowsThrottled406",
        406,
        Words::Empty,
        (Basis::Documented, "N-head; text assumed"),
    )
    .with(&[
        (
            "x-wns-error-description",
            "The cloud service has exceeded its throttle limit",
        ),
        ("x-wns-status", "channelthrottled"),
    ])
    .after(60),
    Saying::of(
        "windowsThrottled429",
        429,
        Words::Empty,
        (Basis::Observed, "WinAppSDK #3501; text assumed"),
    )
    .with(&[
        (
            "x-wns-error-description",
            "The cloud service has exceeded its throttle limit",
        ),
        ("x-wns-status", "channelthrottled"),
    ])
    .after(60),
    Saying::of(
        "ntfyNoSubscriber",
        507,
        Words::Text("no subscriber for this topic was seen lately"),
        (Basis::Observed, "ntfy; text assumed"),
    ),
    Saying::of(
        "badGateway",
        502,
        Words::Html("<html><body><h1>502 Bad Gateway</h1></body></html>"),
        (Basis::Assumed, "a proxy in front of any of them"),
    ),
    Saying::of(
        "serviceUnavailable",
        503,
        Words::Empty,
        (Basis::Documented, "RFC 9110, 15.6.4"),
    ),
    Saying::of(
        "gatewayTimeout",
        504,
        Words::Empty,
        (Basis::Documented, "RFC 9110, 15.6.5"),
    ),
];
