//! The demo page's switches (`headwater seed --demo-controls`): whether we seed, and whether the
//! files are served over HTTP.
//!
//! Whoever is on this machine may turn them; a page of another site must not. It could send a
//! request here without being asked, but not with a header of our own, nor with our `Origin`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// A header that pages of other sites may send only where a server allows it, and this one does not.
const PROOF: &str = "x-headwater-demo";

/// How they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Positions {
    seeder: bool,
    origin: bool,
}

/// What is to be changed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    seeder: Option<bool>,
    origin: Option<bool>,
}

/// The switches, on at first. The seeder's side waits for its own with [`Switches::seeding`].
#[derive(Debug)]
pub struct Switches(watch::Sender<Positions>);

impl Default for Switches {
    fn default() -> Self {
        let on = Positions {
            seeder: true,
            origin: true,
        };
        Self(watch::Sender::new(on))
    }
}

impl Switches {
    /// Waits until we are to seed, or are not.
    pub async fn seeding(&self, seeding: bool) {
        // The sender is ours, so it cannot have gone.
        let _ = self
            .0
            .subscribe()
            .wait_for(|positions| positions.seeder == seeding)
            .await;
    }

    /// `GET` and `POST /demo/controls`.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/demo/controls", get(tell).post(turn))
            .with_state(self)
    }

    /// The same routes, without the files while the origin is hidden.
    pub fn guard(self: Arc<Self>, site: Router) -> Router {
        site.layer(middleware::from_fn_with_state(self, unless_hidden))
    }
}

async fn tell(State(switches): State<Arc<Switches>>) -> Response {
    let positions = *switches.0.borrow();
    ([(header::CACHE_CONTROL, "no-store")], Json(positions)).into_response()
}

async fn turn(
    State(switches): State<Arc<Switches>>,
    headers: HeaderMap,
    Json(change): Json<Change>,
) -> Response {
    if !is_our_page(&headers) {
        return (StatusCode::FORBIDDEN, "only for the page of this server\n").into_response();
    }
    switches.0.send_modify(|positions| {
        positions.seeder = change.seeder.unwrap_or(positions.seeder);
        positions.origin = change.origin.unwrap_or(positions.origin);
    });
    tell(State(switches)).await
}

fn is_our_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text("origin").and_then(|origin| origin.strip_prefix("http://"));
    headers.contains_key(PROOF) && origin.is_some() && origin == text("host")
}

async fn unless_hidden(
    State(switches): State<Arc<Switches>>,
    request: Request,
    next: Next,
) -> Response {
    let is_file = request.uri().path().starts_with("/files/");
    if !is_file || switches.0.borrow().origin {
        return next.run(request).await;
    }
    (StatusCode::SERVICE_UNAVAILABLE, "the origin is hidden\n").into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn only_the_page_of_this_server_may_turn_them() {
        let may = |headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, value)| {
                let value = value.parse().expect("a header");
                (HeaderName::from_static(name), value)
            });
            is_our_page(&headers.collect())
        };
        let [host, proof] = [("host", "127.0.0.1:8080"), (PROOF, "1")];
        let ours = ("origin", "http://127.0.0.1:8080");
        assert!(may(&[host, proof, ours]));
        assert!(!may(&[host, ours]), "a form of another site");
        assert!(!may(&[host, proof]), "no browser");
        for origin in ["null", "http://evil.example", "http://127.0.0.1:8081"] {
            assert!(!may(&[host, proof, ("origin", origin)]), "{origin}");
        }
    }
}
