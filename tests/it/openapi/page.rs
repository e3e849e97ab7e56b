//! The page that shows the description.

use std::io::Read as _;

use crate::support::TestHub;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_may_run_its_own_scripts_and_nothing_else() {
    let hub = TestHub::start().await;
    let page = hub.client().get("/docs/api").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    for source in policy.split(['\'', ';', ' ']) {
        let known = [
            "",
            "default-src",
            "script-src",
            "style-src",
            "img-src",
            "connect-src",
            "base-uri",
            "form-action",
            "frame-ancestors",
            "none",
            "self",
            "data:",
        ];
        assert!(known.contains(&source), "{source} in {policy}");
    }
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    for banned in ["style=\"", "<style", "onclick", "=\"http", "<script>"] {
        assert!(!html.contains(banned), "{banned}");
    }
    let files: Vec<&str> = html
        .split("=\"/docs/api/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        let path = format!("/docs/api/{file}");
        let plain = hub.client().get(&path).await;
        let kind = if file.ends_with(".js") {
            "text/javascript; charset=utf-8"
        } else {
            "text/css; charset=utf-8"
        };
        assert_eq!(plain.status, 200, "{path}");
        assert_eq!(plain.header("content-type"), Some(kind), "{path}");
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        let client = hub.client().header("accept-encoding", "gzip, br");
        let packed = client.get(&path).await;
        if file.starts_with("swagger") {
            assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
            assert!(packed.body.len() * 3 < plain.body.len(), "{path}");
            let mut unpacked = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&packed.body[..]);
            decoder.read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == plain.body, "{path}");
        }
    }
    let nothing = hub.client().get("/docs/api/swagger-ui.js").await;
    assert_eq!(nothing.refused(404), "itemNotFound");
    hub.finish().await;
}
