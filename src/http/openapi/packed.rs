//! Content that is kept packed, and sent so to whoever takes it.

use std::io::{Read as _, Write as _};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        AcceptEncoding, CONTENT_ENCODING, ContentEncoding, Encoding, Header as _, VARY,
    },
    web::Bytes,
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::Error;

/// A gzip file.
#[derive(Debug, Clone)]
pub(super) struct Packed(Bytes);

impl Packed {
    /// One that is packed already.
    pub(super) const fn of(packed: &'static [u8]) -> Self {
        Self(Bytes::from_static(packed))
    }

    /// Packs.
    pub(super) fn pack(plain: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Memory takes all that is written.
        let _ = encoder.write_all(plain);
        Self(encoder.finish().unwrap_or_default().into())
    }

    /// The answer, in a type.
    ///
    /// # Errors
    /// Where it cannot be unpacked.
    pub(super) fn answer(&self, request: &HttpRequest, kind: &str) -> Result<HttpResponse, Error> {
        let mut answer = HttpResponse::Ok();
        answer
            .content_type(kind)
            .insert_header((VARY, "Accept-Encoding"));
        if takes_gzip(request) {
            answer.insert_header((CONTENT_ENCODING, ContentEncoding::Gzip));
            return Ok(answer.body(self.0.clone()));
        }
        let mut plain = Vec::new();
        GzDecoder::new(&self.0[..])
            .read_to_end(&mut plain)
            .map_err(|_| Error::Unavailable)?;
        Ok(answer.body(plain))
    }
}

fn takes_gzip(request: &HttpRequest) -> bool {
    if !request.headers().contains_key(AcceptEncoding::name()) {
        return false;
    }
    let Ok(accepted) = AcceptEncoding::parse(request) else {
        return false;
    };
    let offered = [Encoding::gzip(), Encoding::identity()];
    accepted.negotiate(offered.iter()) == Some(Encoding::gzip())
}

#[cfg(test)]
mod tests {
    use actix_web::{body::to_bytes, test::TestRequest};

    use super::*;

    #[actix_web::test]
    async fn who_takes_it_packed_has_it_packed() {
        let packed = Packed::pack(b"much ado");
        for (accepted, expected) in [
            (Some("gzip, br"), true),
            (Some("gzip;q=0"), false),
            (Some("br"), false),
            (None, false),
        ] {
            let request = TestRequest::default();
            let request = match accepted {
                Some(accepted) => request.insert_header(("accept-encoding", accepted)),
                None => request,
            };
            let answer = packed
                .answer(&request.to_http_request(), "text/css")
                .unwrap();
            let as_gzip = answer.headers().contains_key(CONTENT_ENCODING);
            assert_eq!(as_gzip, expected, "{accepted:?}");
            let body = to_bytes(answer.into_body()).await.unwrap();
            assert_eq!(body == "much ado", !expected, "{accepted:?}");
        }
    }
}
