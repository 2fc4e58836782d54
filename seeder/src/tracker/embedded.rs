//! The tracker on somebody else's HTTP port: pages are answered there, and a connection that
//! becomes a WebSocket is handed to the tracker's own threads.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tracing::debug;

use super::mail::Mail;
use super::web::{self, Answer, Fields, Page};
use super::{Shared, TrackerHandle};

/// `/announce`, `/scrape` and `/stats`; how all is on that port is for others to say. Wants [`ConnectInfo`] in the
/// request to know whom it is from.
pub fn router(handle: TrackerHandle) -> Router {
    let paths = ["/announce", "/scrape", "/stats"];
    paths
        .into_iter()
        .fold(Router::new(), |router, path| router.route(path, any(serve)))
        .with_state(handle)
}

async fn serve(State(handle): State<TrackerHandle>, mut request: Request) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let seen = address.map_or(Ipv4Addr::LOCALHOST.into(), |ConnectInfo(one)| one.ip());
    let fields = Headers(request.headers());
    let target = request.uri().path_and_query();
    let asked = web::Request {
        is_get: request.method() == Method::GET,
        is_last: false,
        target: target.map_or("/", |target| target.as_str()),
        fields: &fields,
    };
    let shared = handle.shared();
    let client = web::client_of(shared, seen, &fields);
    match web::answer(shared, &asked, client) {
        Answer::Page(page) => respond(page),
        Answer::Question(question) => respond(Page::answer(question.answer_alone(shared))),
        Answer::Upgrade(_) if !shared.open_one() => respond(Page::too_many()),
        Answer::Upgrade(accept) => {
            // From here on it is counted, and given back when this is dropped, unless it arrives.
            let Some(counted) = Counted::new(&handle, client) else {
                shared.close_one();
                return respond(Page::too_many());
            };
            tokio::spawn(async move {
                let handed = upgrade.await.map_err(io::Error::other);
                if let Err(e) = handed.and_then(|upgraded| counted.hand_over(upgraded)) {
                    debug!("no WebSocket came of it: {e}");
                }
            });
            let headers = [
                (header::CONNECTION, "Upgrade".to_owned()),
                (header::UPGRADE, "websocket".to_owned()),
                (header::SEC_WEBSOCKET_ACCEPT, accept),
            ];
            (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
        }
    }
}

fn respond(page: Page) -> Response {
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let headers = [
        (header::CONTENT_TYPE, page.kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, page.body).into_response()
}

/// A connection that counts, on its way to a thread.
struct Counted {
    handle: TrackerHandle,
    client: IpAddr,
    is_handed_over: bool,
}

impl Counted {
    fn new(handle: &TrackerHandle, client: IpAddr) -> Option<Self> {
        let is_admitted = handle.shared().admit(client);
        is_admitted.then(|| Self {
            handle: handle.clone(),
            client,
            is_handed_over: false,
        })
    }

    fn hand_over(mut self, upgraded: Upgraded) -> io::Result<()> {
        let parts = upgraded.downcast::<TokioIo<TcpStream>>();
        let parts = parts.map_err(|_| io::Error::other("not a plain connection"))?;
        let stream = parts.io.into_inner().into_std()?;
        let stream = mio::net::TcpStream::from_std(stream);
        let shared: &Shared = self.handle.shared();
        let mail = Mail::Upgraded(stream, parts.read_buf.to_vec(), self.client);
        shared.post(shared.next_thread(), [mail]);
        self.is_handed_over = true;
        Ok(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.is_handed_over {
            let shared = self.handle.shared();
            shared.dismiss(self.client);
            shared.close_one();
        }
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Fields for Headers<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        let field = self.0.get_all(name).iter().next_back()?;
        field.to_str().ok().map(str::trim)
    }
}
