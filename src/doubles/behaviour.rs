//! The page that says of each behaviour of the doubles whether the real service documents it, was observed to have it, or is assumed
//! to: `beckon doubles --behaviour`, `GET /v1/behaviour`.
//!
//! The rules and the shared faults stand in Markdown, and are the documentation of the services' modules too; what only one service
//! says is shown from the data that the faults are made of.

use std::fmt::Write as _;

use super::device::Service;
use super::fault::At;
use super::saying::Saying;

const HEAD: &str = "# What the doubles do, and how surely the real services do it

*documented*: the vendor or a standard says so. *observed*: seen in a recorded answer, or in the code of a widely used sender or
service. *assumed*: neither, the likeliest form. In brackets the source, named at the end. A fault is scripted by its name, with
`POST /v1/faults`.
";
const SHARED: &str = include_str!("behaviour/shared.md");
const SOURCES: &str = include_str!("behaviour/sources.md");

/// The page, in Markdown.
#[must_use]
pub fn behaviour() -> String {
    let mut page = format!("{HEAD}\n## Faults that all services share\n\n{SHARED}");
    for service in Service::ALL {
        let (title, rules) = rules(service);
        let _ = write!(
            page,
            "\n## {title}\n\n{rules}\n### What only {title} says\n\n"
        );
        page.push_str("| fault | answer | basis (source) |\n|---|---|---|\n");
        Saying::all(service)
            .iter()
            .for_each(|saying| page.push_str(&row(saying)));
    }
    let _ = write!(page, "\n## Sources\n\n{SOURCES}");
    page
}

fn row(saying: &Saying) -> String {
    let door = match saying.at() {
        At::Push => "",
        At::Token => ", at the token endpoint",
    };
    let (basis, source) = saying.basis();
    let shown = saying.shown();
    let basis = basis.word();
    format!(
        "| `{}`{door} | {shown} | {basis} ({source}) |\n",
        saying.name()
    )
}

fn rules(service: Service) -> (&'static str, &'static str) {
    match service {
        Service::Apns => ("APNs", include_str!("behaviour/apns.md")),
        Service::Fcm => ("FCM", include_str!("behaviour/fcm.md")),
        Service::WebPush => ("Web Push", include_str!("behaviour/web_push.md")),
        Service::Wns => ("WNS", include_str!("behaviour/wns.md")),
    }
}
