//! Takes out of the packed release of Swagger UI the two files that the API's page needs, still compressed, each as a
//! gzip file of its own (RFC 1952): the rest of the release would be in the binary for nothing.

use std::{
    env,
    error::Error,
    fs,
    io::{Cursor, Read as _},
    path::Path,
};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{CompressionMethod, ZipArchive};

/// The files, by their names in the release's folder `dist`.
const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];
/// Of a gzip file: its mark, deflate, no flags, no time, slowest and best, system unknown.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/web/build.rs");
    let out = env::var("OUT_DIR")?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in FILES {
        let ending = format!("/dist/{name}");
        let at = (0..archive.len()).find(|at| {
            let found = archive.name_for_index(*at).and_then(Result::ok);
            found.is_some_and(|found| found.ends_with(&ending) && found.matches('/').count() == 2)
        });
        let at = at.ok_or_else(|| format!("the release of Swagger UI holds no dist/{name}"))?;
        let mut file = archive.by_index_raw(at)?;
        if file.compression() != CompressionMethod::DEFLATE {
            return Err(format!("dist/{name} is not deflated").into());
        }
        let mut packed = HEADER.to_vec();
        file.read_to_end(&mut packed)?;
        packed.extend(file.crc32().to_le_bytes());
        packed.extend(u32::try_from(file.size())?.to_le_bytes());
        fs::write(Path::new(&out).join(format!("{name}.gz")), packed)?;
    }
    Ok(())
}
