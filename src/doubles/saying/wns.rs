//! The answers of WNS, then those of its token endpoints. WNS speaks in headers; its bodies are empty.

use super::{Basis, Saying, Words};

/// In the order of the table of statuses.
pub(super) const SAYINGS: &[Saying] = &[
    Saying::of(
        "badRequest",
        400,
        Words::Empty,
        (Basis::Documented, "N-head; text assumed"),
    )
    .with(&[
        (
            "x-wns-error-description",
            "One or more headers are wrong or in conflict",
        ),
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "unauthorized",
        401,
        Words::Empty,
        (Basis::Documented, "N-head; text assumed"),
    )
    .with(&[
        (
            "x-wns-error-description",
            "The access token is invalid or expired",
        ),
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "forbidden",
        403,
        Words::Empty,
        (Basis::Documented, "N-head; text assumed"),
    )
    .with(&[
        (
            "x-wns-error-description",
            "The cloud service is not authorized to send to this URI",
        ),
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "forbiddenWithoutMapping",
        403,
        Words::Empty,
        (Basis::Observed, "WinAppSDK #6301"),
    )
    .bare(),
    Saying::of(
        "channelUnknown",
        404,
        Words::Empty,
        (Basis::Documented, "N-head; text assumed"),
    )
    .with(&[
        ("x-wns-error-description", "The channel URI is not valid"),
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "methodNotAllowed",
        405,
        Words::Empty,
        (Basis::Documented, "N-head; text assumed"),
    )
    .with(&[
        ("x-wns-error-description", "Only POST is allowed"),
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "throttled406",
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
        ("x-wns-notificationstatus", "channelthrottled"),
    ]),
    Saying::of(
        "throttled429",
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
        ("x-wns-notificationstatus", "channelthrottled"),
    ]),
    Saying::of(
        "channelExpired",
        410,
        Words::Empty,
        (Basis::Documented, "N-head; text assumed"),
    )
    .with(&[
        ("x-wns-error-description", "The channel has expired"),
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "domainBlocked",
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
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "deviceUnreachable",
        412,
        Words::Empty,
        (Basis::Observed, "rpush"),
    )
    .with(&[
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "payloadTooLarge",
        413,
        Words::Empty,
        (Basis::Documented, "N-head; text assumed"),
    )
    .with(&[
        (
            "x-wns-error-description",
            "The notification exceeds 5000 bytes",
        ),
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "internalServerError",
        500,
        Words::Empty,
        (Basis::Documented, "N-head"),
    )
    .with(&[
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "serviceUnavailable",
        503,
        Words::Empty,
        (Basis::Documented, "N-head"),
    )
    .with(&[
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "dropped",
        200,
        Words::Empty,
        (Basis::Documented, "N-head; text assumed"),
    )
    .with(&[
        (
            "x-wns-error-description",
            "The client refuses notifications",
        ),
        ("x-wns-status", "dropped"),
        ("x-wns-notificationstatus", "dropped"),
    ]),
    Saying::of(
        "channelThrottled",
        200,
        Words::Empty,
        (Basis::Documented, "N-head; text assumed"),
    )
    .with(&[
        ("x-wns-error-description", "The channel is throttled"),
        ("x-wns-status", "channelthrottled"),
        ("x-wns-notificationstatus", "channelthrottled"),
    ]),
    Saying::of(
        "invalidClient",
        401,
        Words::Entra(
            "invalid_client",
            7_000_215,
            "Invalid client secret provided.",
        ),
        (Basis::Observed, "field"),
    )
    .at_token(),
    Saying::of(
        "expiredSecret",
        401,
        Words::Entra(
            "invalid_client",
            7_000_222,
            "The provided client secret keys are expired.",
        ),
        (Basis::Observed, "field"),
    )
    .at_token(),
    Saying::of(
        "unauthorizedClient",
        400,
        Words::Entra(
            "unauthorized_client",
            700_016,
            "Application was not found in the directory.",
        ),
        (Basis::Observed, "field"),
    )
    .at_token(),
    Saying::of(
        "invalidClientLegacy",
        400,
        Words::OAuth("invalid_client", "The client is unknown."),
        (Basis::Documented, "N-head; text assumed"),
    )
    .at_token(),
    Saying::of(
        "temporarilyUnavailable",
        503,
        Words::OAuth(
            "temporarily_unavailable",
            "The service is temporarily unavailable.",
        ),
        (Basis::Documented, "RFC 6749, 4.1.2.1; status assumed"),
    )
    .at_token(),
];
