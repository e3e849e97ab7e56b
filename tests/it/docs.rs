//! The docs: every page is plain and strict, every link leads somewhere, every command does what the page says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use beckon::doubles::Service;
use serde_json::json;

use crate::support::{ChildHub, TestHub, hub::APP};

const REFERENCE: &str = "/docs/api";
/// What pages lead to beside each other.
const OTHERS: [&str; 3] = ["/docs/docs.css", REFERENCE, "/openapi.json"];

/// Whatever stands between `before` and the next quotation mark.
fn quoted<'a>(html: &'a str, before: &str) -> Vec<&'a str> {
    let found = html.split(before).skip(1);
    found.map(|rest| rest.split('"').next().unwrap()).collect()
}

/// All pages that can be reached from the first, by address.
async fn pages(hub: &TestHub) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![String::from("/docs")];
    while let Some(path) = left.pop() {
        if found.contains_key(&path) {
            continue;
        }
        let answer = hub.client().get(&path).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}: {answer:?}");
        // Drawn by scripts; see `openapi`.
        if path == REFERENCE {
            continue;
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("script"),
            "{policy}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let html = String::from_utf8(answer.body.to_vec()).unwrap();
        for link in quoted(&html, "<a href=\"") {
            let page = link.split('#').next().unwrap();
            if page.starts_with("/docs") {
                left.push(page.to_owned());
            }
        }
        found.insert(path, html);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_is_told_with_its_key_and_its_default() {
    let hub = TestHub::start().await;
    let page = &pages(&hub).await["/docs/limits"];
    let example = include_str!("../../config.example.toml");
    let section = example.split("[server.limits]").nth(1).unwrap();
    let section = section.split("\n\n").next().unwrap();
    let mut told = 0;
    for (key, value) in section.lines().filter_map(|line| line.split_once(" = ")) {
        let (key, unset) = match key.strip_prefix('#') {
            Some(key) => (key, true),
            None => (key, false),
        };
        // A sentence may hold an equals sign as well.
        if key.contains(' ') {
            continue;
        }
        let value = value.trim_matches('"').replace("KiB", " KiB");
        let value = value.replace("MiB", " MiB");
        let shown = if unset { "none" } else { &value };
        let cells = format!("<td><code>{key}</code></td><td>{shown}</td>");
        assert!(page.contains(&cells), "{cells}");
        told += 1;
    }
    let keys =
        page.matches("</code></td><td>").count() - page.matches("</code></td><td><code>").count();
    assert_eq!(told, keys);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_plain_and_every_link_leads_somewhere() {
    let hub = TestHub::start().await;
    let pages = pages(&hub).await;
    assert_eq!(pages.len(), 14, "{:?}", pages.keys());
    for (path, html) in &pages {
        for banned in ["<script", "style=\"", "<style", "onclick", "=\"http"] {
            assert!(!html.contains(banned), "{path} has {banned}");
        }
        assert_eq!(html.matches("<h1").count(), 1, "{path}");
        assert!(html.contains("<html lang=\"en\">"), "{path}");
        let ids = quoted(html, " id=\"");
        let once: BTreeSet<_> = ids.iter().collect();
        assert_eq!(once.len(), ids.len(), "{path} has an id twice: {ids:?}");
        for link in quoted(html, "href=\"") {
            let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
            let page = if page.is_empty() { path } else { page };
            if OTHERS.contains(&page) {
                continue;
            }
            let there = pages.get(page).unwrap_or_else(|| panic!("{path}: {link}"));
            let found = anchor.is_empty() || quoted(there, " id=\"").contains(&anchor);
            assert!(found, "{path}: nothing is at {link}");
        }
    }
    let css = hub.client().get("/docs/docs.css").await;
    assert_eq!(css.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(String::from_utf8_lossy(&css.body).contains("light dark"));
    for nowhere in ["/docs/nothing", "/docs/index.md", "/docs/docs.css/x"] {
        assert_eq!(hub.client().get(nowhere).await.refused(404), "itemNotFound");
    }
    hub.finish().await;
}

/// The pages as written, the one on backups last: it asks to stop the hub.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/docs");
    let names = fs::read_dir(folder).unwrap();
    let mut pages: Vec<_> = names.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    // What stops the hub comes last, what erases somebody before it.
    pages.sort_by_key(|page| (page.ends_with("backup.md"), page.ends_with("export.md")));
    pages
}

/// The shell commands of a page, block by block.
fn blocks(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let found = text.split("```sh\n").skip(1);
    found
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_does_what_the_page_says() {
    let mut hub = ChildHub::start().await;
    let (_, token) = hub.phone(Service::Fcm).await;
    let app = hub.app();
    let body = json!({"payload": {"visualContent": {"title": "Tea time"}}});
    let posted = app
        .post("/v1/users/ada/notifications", body.clone())
        .await
        .expect(201);
    let graces = "/v1/users/grace/notifications";
    app.post(graces, body).await.expect(201);
    let body = json!({"audience": {"all": true}, "notification": {"payload": {"rawContent": "r"}}});
    let job = app.post("/v1/notifications", body).await.expect(202);
    let listed = hub.client().bearer(&token).get("/v1/me/endpoints").await;
    let listed = listed.expect(200)["value"][0].clone();
    let unsid = listed["userNotificationSubscriptionId"].as_str().unwrap();
    let address = format!("http://{}", app.addr);
    let (key, doubles) = (hub.key.clone(), hub.doubles().settings().api.clone());
    let said = [
        ("HUB", address.as_str()),
        ("KEY", &key),
        ("TOKEN", &token),
        ("ID", posted["id"].as_str().unwrap()),
        ("JOB", job["id"].as_str().unwrap()),
        ("HOST", APP),
        ("UNSID", unsid),
        ("ENDPOINT", "phone"),
        ("FILE", "monday.beckon"),
        ("DOUBLES", &doubles),
    ];
    let mut run = 0;
    for page in files() {
        for block in blocks(&page) {
            if block.contains("store restore") {
                hub.stop().await;
            }
            // A stream has no end of its own.
            let script = format!(
                "curl() {{ command curl -sS --fail --max-time 20 \"$@\"; }}\n{}",
                block.replace("curl -N", "timeout 1 curl -sS --fail -N")
            );
            let output = hub.shell(&script, &said);
            let streams = block.contains("curl -N");
            let code = if streams { 124 } else { 0 };
            assert_eq!(
                output.status.code(),
                Some(code),
                "{}: {block}{output:?}",
                page.display()
            );
            run += 1;
        }
    }
    assert!(run >= 10, "only {run} blocks were run");
    hub.verify();
}
