//! Google's answers: those of the send method, by FCM's error codes and what tells them apart, then those of the token endpoint.

use super::{Basis, Detail, Saying, Words};

const NOT_FOUND: &str = "<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title><p><b>404.</b> <ins>That’s an error.</ins></html>";
const SERVER_ERROR: &str = "<!DOCTYPE html><html lang=en><title>Error (Server Error)!!1</title><p>The server encountered a temporary error.</html>";

/// In the order of the table of errors.
pub(super) const SAYINGS: &[Saying] = &[
    Saying::of("invalidToken", 400, Words::Google("INVALID_ARGUMENT", "The registration token is not a valid FCM registration token", Some("INVALID_ARGUMENT"), Some(Detail::BadField("message.token", "The registration token is not a valid FCM registration token"))), (Basis::Documented, "F-ec; pushiko")),
    Saying::of("invalidTokenByText", 400, Words::Google("INVALID_ARGUMENT", "The registration token is not a valid FCM registration token", Some("INVALID_ARGUMENT"), None), (Basis::Observed, "pushiko")),
    Saying::of("invalidArgument", 400, Words::Google("INVALID_ARGUMENT", "Request contains an invalid argument.", Some("INVALID_ARGUMENT"), None), (Basis::Documented, "F-err")),
    Saying::of("invalidField", 400, Words::Google("INVALID_ARGUMENT", "Invalid value at 'message.android.ttl'", None, Some(Detail::BadField("message.android.ttl", "Illegal duration format"))), (Basis::Documented, "F-ec")),
    Saying::of("payloadTooLarge", 400, Words::Google("INVALID_ARGUMENT", "Android message is too big", None, None), (Basis::Observed, "pushiko")),
    Saying::of("unauthenticated", 401, Words::Google("UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.", None, None), (Basis::Documented, "F-ec")).with(&[("www-authenticate", "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"")]),
    Saying::of("thirdPartyAuthError", 401, Words::Google("UNAUTHENTICATED", "Auth error from APNS or Web Push Service", Some("THIRD_PARTY_AUTH_ERROR"), None), (Basis::Documented, "F-err")),
    Saying::of("senderIdMismatch", 403, Words::Google("PERMISSION_DENIED", "SenderId mismatch", Some("SENDER_ID_MISMATCH"), None), (Basis::Documented, "F-err")),
    Saying::of("permissionDenied", 403, Words::Google("PERMISSION_DENIED", "Permission 'cloudmessaging.messages.create' denied on resource '//cloudresourcemanager.googleapis.com/projects/beckon-doubles' (or it may not exist).", None, None), (Basis::Observed, "field")),
    Saying::of("apiDisabled", 403, Words::Google("PERMISSION_DENIED", "Firebase Cloud Messaging API has not been used in project 100000000001 before or it is disabled.", None, None), (Basis::Observed, "field")),
    Saying::of("unregistered", 404, Words::Google("NOT_FOUND", "Requested entity was not found.", Some("UNREGISTERED"), None), (Basis::Documented, "F-err; F-ec")),
    Saying::of("notFound", 404, Words::Google("NOT_FOUND", "Requested entity was not found.", None, None), (Basis::Observed, "fb-node")),
    Saying::of("htmlNotFound", 404, Words::Html(NOT_FOUND), (Basis::Observed, "pushiko; field")),
    Saying::of("projectQuotaExceeded", 429, Words::Google("RESOURCE_EXHAUSTED", "Quota exceeded.", Some("QUOTA_EXCEEDED"), Some(Detail::Quota("project:100000000001", "Message rate exceeded."))), (Basis::Documented, "F-err; the form of the subject is assumed")).after(60),
    Saying::of("deviceQuotaExceeded", 429, Words::Google("RESOURCE_EXHAUSTED", "Quota exceeded.", Some("QUOTA_EXCEEDED"), Some(Detail::Quota("device:APA91b", "Device message rate exceeded."))), (Basis::Documented, "F-err; the form of the subject is assumed")),
    Saying::of("topicQuotaExceeded", 429, Words::Google("RESOURCE_EXHAUSTED", "Quota exceeded.", Some("QUOTA_EXCEEDED"), Some(Detail::Quota("topic:news", "Topic message rate exceeded."))), (Basis::Documented, "F-err; the form of the subject is assumed")),
    Saying::of("resourceExhausted", 429, Words::Google("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", None, None), (Basis::Observed, "field")),
    Saying::of("internal", 500, Words::Google("INTERNAL", "Internal error encountered.", Some("INTERNAL"), None), (Basis::Documented, "F-err")),
    Saying::of("unspecifiedError", 500, Words::Google("UNKNOWN", "Unknown error.", Some("UNSPECIFIED_ERROR"), None), (Basis::Documented, "F-err; status assumed")),
    Saying::of("badGateway", 502, Words::Html(SERVER_ERROR), (Basis::Observed, "pushiko")),
    Saying::of("gatewayTimeout", 504, Words::Html(SERVER_ERROR), (Basis::Observed, "pushiko")),
    Saying::of("unavailable", 503, Words::Google("UNAVAILABLE", "The service is currently unavailable.", Some("UNAVAILABLE"), None), (Basis::Documented, "F-err")),
    Saying::of("clockSkew", 400, Words::OAuth("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."), (Basis::Observed, "field")).at_token(),
    Saying::of("invalidGrant", 400, Words::OAuth("invalid_grant", "Invalid JWT Signature."), (Basis::Observed, "field")).at_token(),
    Saying::of("accountDeleted", 400, Words::OAuth("invalid_grant", "Invalid grant: account not found"), (Basis::Observed, "field")).at_token(),
    Saying::of("invalidScope", 400, Words::OAuth("invalid_scope", "Invalid OAuth scope or ID token audience provided."), (Basis::Observed, "field")).at_token(),
    Saying::of("invalidClient", 401, Words::OAuth("invalid_client", "The OAuth client was not found."), (Basis::Observed, "field")).at_token(),
    Saying::of("unauthorizedClient", 401, Words::OAuth("unauthorized_client", "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested."), (Basis::Observed, "field")).at_token(),
    Saying::of("rateLimitExceeded", 429, Words::OAuth("rate_limit_exceeded", "Too many requests."), (Basis::Assumed, "status unverified")).at_token(),
    Saying::of("backendError", 503, Words::OAuth("backend_error", "Backend Error"), (Basis::Assumed, "status unverified")).at_token(),
];
