//! `/docs`: pages for operators and for those who write apps, written in Markdown and kept in the binary. Plain HTML, a
//! stylesheet, no scripts; but for the reference of the API, which is drawn by them.

use std::fmt::Write as _;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY},
};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};
use rust_embed::RustEmbed;

use super::{Answer, Error};

/// A page that loads nothing but our stylesheet, runs nothing, and can be framed by nobody.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Pages change with the binary alone; a proxy may keep them for a while.
const KEPT: &str = "public, max-age=300";
const INDEX: &str = "index";

/// The pages in the order of reading: what their address is, and what the others call them.
const PAGES: [(&str, &str); 13] = [
    ("taking-back", "Taking back"),
    ("what-leaves", "What leaves the hub"),
    ("ladder", "Delivery ladder"),
    ("syncing", "Syncing a client"),
    ("many", "Posting to many"),
    ("graph", "Coming from Graph"),
    ("identity", "Users of your own identity provider"),
    ("importing", "Bringing your devices"),
    ("export", "What is held about a person"),
    ("audit", "Who did what"),
    ("limits", "Limits"),
    ("backup", "Backup and restore"),
    ("doubles", "Testing against doubles"),
];

/// The page that is no Markdown; see [`super::openapi::reference`].
const REFERENCE: (&str, &str) = ("api", "API reference");

#[derive(RustEmbed)]
#[folder = "src/web/docs"]
struct Files;

/// What the pages are called in their addresses.
pub(super) fn names() -> [&'static str; PAGES.len()] {
    PAGES.map(|(page, _)| page)
}

/// `GET /docs`.
pub(super) async fn index() -> Answer {
    page(INDEX)
}

/// `GET /docs/{page}`.
pub(super) async fn one(request: HttpRequest) -> Answer {
    let name = request.match_info().get("page").unwrap_or_default();
    let known = PAGES.iter().find(|(page, _)| *page == name);
    known.map_or(Err(Error::NoPath), |(page, _)| self::page(page))
}

/// `GET /docs/docs.css`.
pub(super) async fn style() -> Answer {
    let css = file("docs.css")?;
    Ok(HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .insert_header((CACHE_CONTROL, KEPT))
        .body(css))
}

fn page(name: &str) -> Answer {
    let text = file(&format!("{name}.md"))?;
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, KEPT))
        .body(html(name, &text)))
}

/// A file of the docs.
pub(super) fn file(name: &str) -> Result<String, Error> {
    let found = Files::get(name).ok_or(Error::NoPath)?;
    String::from_utf8(found.data.into_owned()).map_err(|_| Error::NoPath)
}

/// The whole page: what all have in common around the rendered text.
fn html(name: &str, markdown: &str) -> String {
    let Rendered { title, body } = Rendered::of(markdown);
    let head = "<link rel=\"stylesheet\" href=\"/docs/docs.css\">\n";
    around((name, &title), head, &body)
}

/// The page that shows the description of the API by its scripts.
pub(super) fn reference() -> String {
    // Without an icon of its own, browsers ask for one that is not there.
    let head = "<link rel=\"icon\" href=\"data:,\">\n\
         <link rel=\"stylesheet\" href=\"/docs/api/swagger-ui.css\">\n\
         <link rel=\"stylesheet\" href=\"/docs/api/reference.css\">\n\
         <script src=\"/docs/api/swagger-ui-bundle.js\" defer></script>\n\
         <script src=\"/docs/api/reference.js\" defer></script>\n";
    let body = "<h1 id=\"api-reference\">API reference</h1>\n\
         <p>Made from the hub's own code, with the limits of this hub: <a href=\"/openapi.json\">openapi.json</a>.</p>\n\
         <noscript><p>This page needs scripts; what it shows stands in that file.</p></noscript>\n\
         <div id=\"reference\"></div>\n";
    around(REFERENCE, head, body)
}

/// What all pages have in common, around a body; `head` is what this one loads.
fn around((name, title): (&str, &str), head: &str, body: &str) -> String {
    let mut links = String::new();
    for (page, title) in PAGES.into_iter().chain([REFERENCE]) {
        let here = if page == name {
            " aria-current=\"page\""
        } else {
            ""
        };
        // Writing to a String cannot fail.
        let _ = write!(links, "<li><a href=\"/docs/{page}\"{here}>{title}</a></li>");
    }
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} – Beckon</title>\n{head}</head>\n<body>\n\
         <a class=\"skip\" href=\"#text\">Skip to the text</a>\n\
         <header><a class=\"home\" href=\"/docs\">Beckon</a><nav aria-label=\"Pages\"><ul>{links}</ul></nav></header>\n\
         <main id=\"text\">\n{body}</main>\n<footer>Beckon {version}</footer>\n</body>\n</html>\n"
    )
}

/// A page's text as HTML, and the text of its first heading.
struct Rendered {
    title: String,
    body: String,
}

impl Rendered {
    fn of(markdown: &str) -> Self {
        let parser = Parser::new_ext(markdown, Options::ENABLE_TABLES);
        let mut events: Vec<Event<'_>> = parser.collect();
        let mut title = String::new();
        for at in 0..events.len() {
            if !matches!(events[at], Event::Start(Tag::Heading { .. })) {
                continue;
            }
            let text = heading(&events[at..]);
            if let Event::Start(Tag::Heading { level, id, .. }) = &mut events[at] {
                if *level == HeadingLevel::H1 && title.is_empty() {
                    title.clone_from(&text);
                }
                *id = Some(CowStr::from(anchor(&text)));
            }
        }
        let mut body = String::new();
        html::push_html(&mut body, events.into_iter());
        Self { title, body }
    }
}

/// The text of the heading that begins here.
fn heading(events: &[Event<'_>]) -> String {
    let inside = events
        .iter()
        .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    inside
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect()
}

/// What a link to a heading names it by: its words in lower case, joined by hyphens.
fn anchor(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_can_be_linked_to_and_markup_is_escaped() {
        let rendered = Rendered::of("# A *first* one\n\nText & `a<b`.\n\n## When it's `gone`\n");
        assert_eq!(rendered.title, "A first one");
        let expected = "<h1 id=\"a-first-one\">A <em>first</em> one</h1>\n<p>Text &amp; <code>a&lt;b</code>.</p>\n\
                        <h2 id=\"when-it-s-gone\">When it's <code>gone</code></h2>\n";
        assert_eq!(rendered.body, expected);
    }

    #[test]
    fn every_page_is_in_the_binary_and_begins_with_its_title() {
        for (page, title) in PAGES {
            let text = file(&format!("{page}.md")).unwrap();
            assert!(text.starts_with(&format!("# {title}")), "{page}");
        }
        let sources = Files::iter().filter(|name| name.ends_with(".md")).count();
        assert_eq!(sources, PAGES.len() + 1, "a page is not in the list");
    }
}
