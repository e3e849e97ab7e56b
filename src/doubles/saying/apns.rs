//! Apple's answers, by the names of its table of reasons.

use super::{Basis, Saying, Words};

/// In the order of the table.
pub(super) const SAYINGS: &[Saying] = &[
    apple(
        "badDeviceToken",
        400,
        "BadDeviceToken",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "deviceTokenNotForTopic",
        400,
        "DeviceTokenNotForTopic",
        (Basis::Documented, "A-resp"),
    ),
    apple("badTopic", 400, "BadTopic", (Basis::Documented, "A-resp")),
    apple(
        "missingTopic",
        400,
        "MissingTopic",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "topicDisallowed",
        400,
        "TopicDisallowed",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "badCollapseId",
        400,
        "BadCollapseId",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "badExpirationDate",
        400,
        "BadExpirationDate",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "badMessageId",
        400,
        "BadMessageId",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "badPriority",
        400,
        "BadPriority",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "invalidPushType",
        400,
        "InvalidPushType",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "duplicateHeaders",
        400,
        "DuplicateHeaders",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "payloadEmpty",
        400,
        "PayloadEmpty",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "missingDeviceToken",
        400,
        "MissingDeviceToken",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "idleTimeout",
        400,
        "IdleTimeout",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "expiredProviderToken",
        403,
        "ExpiredProviderToken",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "invalidProviderToken",
        403,
        "InvalidProviderToken",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "missingProviderToken",
        403,
        "MissingProviderToken",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "badEnvironmentKeyIdInToken",
        403,
        "BadEnvironmentKeyIdInToken",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "badEnvironmentKeyInToken",
        403,
        "BadEnvironmentKeyInToken",
        (Basis::Observed, "APNSwift #229"),
    ),
    apple(
        "badCertificate",
        403,
        "BadCertificate",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "badCertificateEnvironment",
        403,
        "BadCertificateEnvironment",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "unrelatedKeyIdInToken",
        403,
        "UnrelatedKeyIdInToken",
        (Basis::Documented, "A-resp"),
    ),
    apple("forbidden", 403, "Forbidden", (Basis::Documented, "A-resp")),
    apple("badPath", 404, "BadPath", (Basis::Documented, "A-resp")),
    apple(
        "methodNotAllowed",
        405,
        "MethodNotAllowed",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "unregistered",
        410,
        "Unregistered",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "expiredToken",
        410,
        "ExpiredToken",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "payloadTooLarge",
        413,
        "PayloadTooLarge",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "tooManyRequests",
        429,
        "TooManyRequests",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "tooManyProviderTokenUpdates",
        429,
        "TooManyProviderTokenUpdates",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "internalServerError",
        500,
        "InternalServerError",
        (Basis::Documented, "A-resp"),
    ),
    apple(
        "serviceUnavailable",
        503,
        "ServiceUnavailable",
        (Basis::Documented, "A-resp"),
    ),
    apple("shutdown", 503, "Shutdown", (Basis::Documented, "A-resp")),
    apple(
        "unknownReason",
        400,
        "SomethingNew",
        (Basis::Assumed, "a reason that nobody knows yet"),
    ),
    Saying::of(
        "proxyError",
        502,
        Words::Html("<html><body><h1>502 Bad Gateway</h1></body></html>"),
        (
            Basis::Assumed,
            "an edge proxy may answer without JSON and without apns-id",
        ),
    )
    .bare(),
];

const fn apple(
    name: &'static str,
    status: u16,
    reason: &'static str,
    basis: (Basis, &'static str),
) -> Saying {
    Saying::of(name, status, Words::Reason(reason), basis)
}
