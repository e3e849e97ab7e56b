//! Pages of history and of changes, as both doors answer them.

use actix_web::{HttpRequest, HttpResponse};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Context, Error, error::both, links, query::Query, wire};
use crate::{
    hub::{DeltaPage, HistoryPage},
    model::Subject,
};

const SKIP_TOKEN: &str = "$skiptoken";
const DELTA_TOKEN: &str = "$deltatoken";

/// The page of history that a request asks for, and its answer.
pub(super) async fn history(
    context: &Context,
    request: &HttpRequest,
    subject: &Subject,
) -> Result<(HistoryPage, HttpResponse), Error> {
    let query = Query::of(request)?;
    let before = query.get(SKIP_TOKEN);
    let before = before.map(|token| context.hub.open_page_token(subject, token));
    let asked = both(query.top(), query.filter());
    let ((top, filter), before) = both(asked, before.transpose())?;
    let page = context
        .hub
        .history(subject.clone(), filter, top, before)
        .await?;
    let next = page.next.map(|next| {
        let token = context.hub.page_token(subject, next);
        link(context, request, &query, (SKIP_TOKEN, &token))
    });
    let answer = HttpResponse::Ok().json(wire::History {
        value: page.items.iter().map(Into::into).collect(),
        unread: page.unread,
        next,
    });
    Ok((page, answer))
}

/// The page of changes that a request asks for, and its answer.
pub(super) async fn delta(
    context: &Context,
    request: &HttpRequest,
    subject: &Subject,
) -> Result<(DeltaPage, HttpResponse), Error> {
    let query = Query::of(request)?;
    let (top, digest) = both(query.top(), query.digest())?;
    let since = match query.get(DELTA_TOKEN) {
        Some(token) => Some(context.hub.open_since(subject, token).await?),
        None => None,
    };
    let page = if digest {
        let subject = subject.clone();
        context.hub.delta_with_digest(subject, since, top).await?
    } else {
        context.hub.delta(subject.clone(), since, top).await?
    };
    let token = context.hub.after(subject, &page);
    let link = link(context, request, &query, (DELTA_TOKEN, &token));
    let (next, delta) = if page.more {
        (Some(link), None)
    } else {
        (None, Some(link))
    };
    let answer = HttpResponse::Ok().json(wire::Delta {
        value: page.items.iter().map(Into::into).collect(),
        next,
        delta,
        digest: page.digest.map(|digest| URL_SAFE_NO_PAD.encode(digest.0)),
    });
    Ok((page, answer))
}

/// The same list from another place on, with what else was asked.
fn link(
    context: &Context,
    request: &HttpRequest,
    query: &Query,
    (name, token): (&str, &str),
) -> String {
    let base = context.base(request);
    links::page(
        &base,
        request.uri().path(),
        &query.kept(name),
        (name, token),
    )
}
