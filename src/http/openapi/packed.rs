//! Content that is kept packed, and sent so to whoever takes it.

use std::{
    io::{Read as _, Write as _},
    sync::OnceLock,
};

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
#[derive(Debug)]
pub(super) struct Packed {
    packed: Bytes,
    /// Once somebody asked who does not take it packed: unpacked for each, many who do not read would fill the memory.
    plain: OnceLock<Bytes>,
}

impl Packed {
    /// One that is packed already.
    pub(super) const fn of(packed: &'static [u8]) -> Self {
        Self {
            packed: Bytes::from_static(packed),
            plain: OnceLock::new(),
        }
    }

    /// Packs.
    pub(super) fn pack(plain: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Memory takes all that is written.
        let _ = encoder.write_all(plain);
        Self {
            packed: encoder.finish().unwrap_or_default().into(),
            plain: OnceLock::new(),
        }
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
            return Ok(answer.body(self.packed.clone()));
        }
        Ok(answer.body(self.plain()?))
    }

    fn plain(&self) -> Result<Bytes, Error> {
        if let Some(plain) = self.plain.get() {
            return Ok(plain.clone());
        }
        let mut plain = Vec::new();
        GzDecoder::new(&self.packed[..])
            .read_to_end(&mut plain)
            .map_err(|_| Error::Unavailable)?;
        Ok(self.plain.get_or_init(|| plain.into()).clone())
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
