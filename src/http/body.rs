//! Bodies: how long, of which type, in which encoding, how deep. What comes out is a JSON object.
//!
//! Nothing is inflated beyond the limit, and nothing is parsed that is nested too deep: a small body that would
//! become a large one costs no more than the limit.

use std::{future::Future, io::Read, pin::Pin};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap},
    web::{Bytes, BytesMut},
};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use futures_util::{StreamExt, TryFutureExt};
use serde_json::{Map, Value};

use super::{Context, Error};
use crate::hub::{self, Hub};

/// How long a body may take to arrive.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
/// How much longer than its content a compressed body may be: an incompressible one grows a little.
const ENCODING_SLACK: usize = 1024;

/// How long a body may be, and the key that says so.
#[derive(Debug, Clone, Copy)]
struct Limit {
    name: &'static str,
    max: usize,
}

impl Limit {
    fn common(hub: &Hub) -> Self {
        Self {
            name: "server.limits.body",
            max: hub.limits().body,
        }
    }

    fn of_audience(hub: &Hub) -> Self {
        Self {
            name: "server.limits.audience_body",
            max: hub.limits().audience_body,
        }
    }

    fn exceeded(self) -> Error {
        let Self { name, max } = self;
        Error::TooLarge { name, max }
    }
}

/// A body that must be a JSON object.
#[derive(Debug)]
pub(super) struct Body {
    /// The bytes, after inflating.
    pub(super) bytes: Bytes,
    /// What they say.
    pub(super) object: Map<String, Value>,
}

/// The same of a post to many, which may be longer.
#[derive(Debug)]
pub(super) struct AudienceBody(pub(super) Body);

/// The same, where no body at all is an empty object.
#[derive(Debug)]
pub(super) struct OptionalBody(pub(super) Map<String, Value>);

/// A future of an extractor; actix runs it on the worker's own thread.
pub(super) type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, Error>>>>;

impl FromRequest for Body {
    type Error = Error;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Box::pin(whole(request.clone(), payload.take(), Limit::common))
    }
}

impl FromRequest for AudienceBody {
    type Error = Error;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Box::pin(whole(request.clone(), payload.take(), Limit::of_audience).map_ok(Self))
    }
}

async fn whole(
    request: HttpRequest,
    payload: Payload,
    limit: fn(&Hub) -> Limit,
) -> Result<Body, Error> {
    let hub = &Context::of(&request)?.hub;
    let bytes = read_within(&request, payload, hub, limit(hub)).await?;
    if bytes.is_empty() {
        return Err(bad("is empty; send a JSON object"));
    }
    media_type(request.headers())?;
    let object = parse(&bytes, hub.limits().nesting)?;
    Ok(Body { bytes, object })
}

impl FromRequest for OptionalBody {
    type Error = Error;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let hub = &Context::of(&request)?.hub;
            let bytes = read(&request, payload, hub).await?;
            if bytes.is_empty() {
                return Ok(Self(Map::new()));
            }
            media_type(request.headers())?;
            parse(&bytes, hub.limits().nesting).map(Self)
        })
    }
}

/// Reads a whole body and inflates it.
pub(super) async fn read(
    request: &HttpRequest,
    payload: Payload,
    hub: &Hub,
) -> Result<Bytes, Error> {
    read_within(request, payload, hub, Limit::common(hub)).await
}

async fn read_within(
    request: &HttpRequest,
    payload: Payload,
    hub: &Hub,
    limit: Limit,
) -> Result<Bytes, Error> {
    let encoding = Encoding::of(request.headers())?;
    let slack = match encoding {
        Encoding::Identity => 0,
        Encoding::Gzip | Encoding::Deflate => ENCODING_SLACK,
    };
    let deadline = hub.now().plus(PATIENCE);
    let sent = tokio::select! {
        sent = gather(request, payload, limit, slack) => sent,
        () = hub.clock().sleep_until(deadline) => Err(Error::Slow),
    };
    let sent = sent?;
    // Where nothing came, nothing is packed.
    if sent.is_empty() {
        return Ok(sent);
    }
    encoding.inflate(sent, limit)
}

async fn gather(
    request: &HttpRequest,
    mut payload: Payload,
    limit: Limit,
    slack: usize,
) -> Result<Bytes, Error> {
    let max = limit.max.saturating_add(slack);
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > max as u64) {
        return Err(limit.exceeded());
    }
    let mut gathered = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| bad("broke off"))?;
        if gathered.len() + chunk.len() > max {
            return Err(limit.exceeded());
        }
        gathered.extend_from_slice(&chunk);
    }
    Ok(gathered.freeze())
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

/// Their names, in any case.
pub(super) const ENCODINGS: [&str; 4] = ["gzip", "x-gzip", "deflate", "identity"];

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Error> {
        const OTHER: Error =
            Error::MediaType("Content-Encoding is none of gzip, deflate, identity");
        let mut all = headers.get_all(header::CONTENT_ENCODING);
        let (first, second) = (all.next(), all.next());
        if second.is_some() {
            return Err(OTHER);
        }
        let Some(name) = first else {
            return Ok(Self::Identity);
        };
        let name = name.to_str().unwrap_or("?").trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            _ => Err(OTHER),
        }
    }

    fn inflate(self, sent: Bytes, limit: Limit) -> Result<Bytes, Error> {
        match self {
            Self::Identity => Ok(sent),
            Self::Gzip => inflate(MultiGzDecoder::new(&sent[..]), limit),
            Self::Deflate => inflate(ZlibDecoder::new(&sent[..]), limit),
        }
    }
}

/// Stops at the first byte over the limit.
fn inflate(packed: impl Read, limit: Limit) -> Result<Bytes, Error> {
    let mut inflated = Vec::new();
    let most = u64::try_from(limit.max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    packed
        .take(most)
        .read_to_end(&mut inflated)
        .map_err(|_| bad("is not in its Content-Encoding"))?;
    if inflated.len() > limit.max {
        return Err(limit.exceeded());
    }
    Ok(inflated.into())
}

fn media_type(headers: &HeaderMap) -> Result<(), Error> {
    const OTHER: Error = Error::MediaType("Content-Type is not application/json");
    let text = headers.get(header::CONTENT_TYPE).ok_or(OTHER)?;
    let text = text.to_str().map_err(|_| OTHER)?.to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    if parts.next() != Some("application/json") {
        return Err(OTHER);
    }
    let charset = parts.find_map(|part| part.strip_prefix("charset="));
    match charset.map(|charset| charset.trim_matches('"')) {
        None | Some("utf-8" | "utf8") => Ok(()),
        Some(_) => Err(Error::MediaType("the charset of Content-Type is not utf-8")),
    }
}

/// What is wrong with the body as a whole.
fn bad(message: impl Into<String>) -> Error {
    hub::Error::invalid("body", message).into()
}

fn parse(bytes: &[u8], max_nesting: usize) -> Result<Map<String, Value>, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("is not UTF-8"))?;
    if nested_deeper(text, max_nesting) {
        return Err(bad(format!(
            "is nested deeper than {max_nesting} levels, which server.limits.nesting allows"
        )));
    }
    let value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        bad(format!("is not JSON: line {line}, column {column}"))
    })?;
    match value {
        Value::Object(object) => Ok(object),
        Value::Array(_) => Err(bad(
            "is an array; send one JSON object, with one call for each",
        )),
        _ => Err(bad("is not a JSON object")),
    }
}

/// Whether arrays and objects open more than `max` deep. Reads no more than quotes and brackets, so it costs no
/// stack, whatever comes.
fn nested_deeper(text: &str, max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let check = |text: &str, max: usize, expected: bool| {
            assert_eq!(nested_deeper(text, max), expected, "{text}");
        };
        check("{}", 1, false);
        check("{\"a\":[1]}", 2, false);
        check("{\"a\":[1]}", 1, true);
        check("{\"a\":\"[[[[\"}", 1, false);
        check(r#"{"a":"\"[[["}"#, 1, false);
        check(r#"{"a":"\\","b":[[1]]}"#, 2, true);
        check(&"[".repeat(10_000), 64, true);
        check("[][][][]", 1, false);
    }

    #[test]
    fn a_bomb_is_inflated_no_further_than_the_limit() {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![b' '; 10 << 20]).unwrap();
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 11 << 10, "{}", bomb.len());
        let inflated = Encoding::Gzip.inflate(
            bomb.into(),
            Limit {
                name: "n",
                max: 64 << 10,
            },
        );
        assert!(matches!(inflated, Err(Error::TooLarge { .. })));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in ["[]", "1", "null", "\"a\"", "{", "{\"a\":1}}", ""] {
            assert!(
                matches!(
                    parse(bad.as_bytes(), 64),
                    Err(Error::Hub(hub::Error::Invalid(_)))
                ),
                "{bad}"
            );
        }
        assert!(parse(b"{\"a\":\"\xff\"}", 64).is_err());
        assert!(parse(b"{\"a\":{}}", 64).is_ok());
    }
}
