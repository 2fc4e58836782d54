//! Fetching one small thing by its address, such as a .torrent file.
//!
//! For addresses a person typed. Not for those a torrent brings: they are a stranger's, and want
//! checks of their own.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::tracker::http::Reach;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header;
use hyper::{Request, Response, Uri, body::Incoming};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How we call ourselves.
pub(crate) const USER_AGENT: &str = concat!("headwater/", env!("CARGO_PKG_VERSION"));

/// Redirects followed before we give up.
const MAX_REDIRECTS: usize = 5;

/// A server that takes longer for all of it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The body at `url`, of at most `most` bytes; otherwise why not, in words.
pub async fn fetch(url: &str, most: usize) -> Result<Bytes, String> {
    timeout(PATIENCE, follow(url, most))
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

async fn follow(url: &str, most: usize) -> Result<Bytes, String> {
    // What stands behind the # is for us alone.
    let url = url.split('#').next().unwrap_or_default();
    let mut at: Uri = url.parse().map_err(|e| format!("{url}: {e}"))?;
    for _ in 0..=MAX_REDIRECTS {
        let (_, response) = ask(&at, None).await?;
        let status = response.status();
        if status.is_redirection() {
            at = redirected(&at, &response)?;
            continue;
        }
        if !status.is_success() {
            return Err(format!("the server says {status}"));
        }
        let body = Limited::new(response.into_body(), most).collect().await;
        return body
            .map(|whole| whole.to_bytes())
            .map_err(|e| e.to_string());
    }
    Err(format!("more than {MAX_REDIRECTS} redirects"))
}

/// Asks at an address that is no nearer than `nearest`; who answered, and what.
pub(crate) async fn ask(
    at: &Uri,
    nearest: Option<Reach>,
) -> Result<(IpAddr, Response<Incoming>), String> {
    let host = at.host().ok_or("an address without a host")?;
    let may = |ip| nearest.is_none() || Reach::of(ip) >= nearest;
    let (mut sender, ip) = line(at, may).await?;
    let request = Request::get(at.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, at.authority().map_or(host, |a| a.as_str()))
        .header(header::USER_AGENT, USER_AGENT)
        .body(Empty::new())
        .map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await;
    Ok((ip, response.map_err(|e| e.to_string())?))
}

/// Connects to the first address behind a host that may be gone to, and to no other; with the
/// address.
pub(crate) async fn line(
    at: &Uri,
    may: impl Fn(IpAddr) -> bool,
) -> Result<(SendRequest<Empty<Bytes>>, IpAddr), String> {
    let host = at.host().ok_or("an address without a host")?;
    let secure = at.scheme_str() == Some("https");
    let port = at.port_u16().unwrap_or(if secure { 443 } else { 80 });
    // In addresses, IPv6 ones stand in brackets.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let (stream, ip) = connect(name, port, may)
        .await
        .map_err(|why| format!("{host} cannot be reached: {why}"))?;
    let sender = if secure {
        let stream = encrypted(stream, name).await.map_err(|e| e.to_string())?;
        begin(stream).await
    } else {
        begin(stream).await
    };
    Ok((sender?, ip))
}

async fn connect(
    name: &str,
    port: u16,
    may: impl Fn(IpAddr) -> bool,
) -> Result<(TcpStream, IpAddr), String> {
    let addresses = lookup_host((name, port)).await.map_err(|e| e.to_string())?;
    let mut why = "it is at an address of a private network, where we may not go".to_owned();
    for address in addresses {
        if !may(address.ip()) {
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok((stream, address.ip())),
            Err(e) => why = e.to_string(),
        }
    }
    Err(why)
}

async fn encrypted(
    stream: TcpStream,
    host: &str,
) -> io::Result<impl AsyncRead + AsyncWrite + use<>> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

async fn begin(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Empty<Bytes>>, String> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    // It ends when nobody asks any more, or nobody reads what was asked for.
    tokio::spawn(connection);
    Ok(sender)
}

/// Where a redirect leads: never from https to http.
pub(crate) fn redirected(from: &Uri, response: &Response<Incoming>) -> Result<Uri, String> {
    let location = response.headers().get(header::LOCATION);
    let location = location
        .and_then(|value| value.to_str().ok())
        .ok_or("a redirect that leads nowhere")?;
    joined(from, location)
}

fn joined(from: &Uri, location: &str) -> Result<Uri, String> {
    let wrong = || format!("a redirect to {location:?}, which we do not follow");
    let absolute = if location.starts_with("http://") || location.starts_with("https://") {
        location.to_owned()
    } else if location.starts_with('/') && !location.starts_with("//") {
        let site = (from.scheme_str(), from.authority());
        let (Some(scheme), Some(authority)) = site else {
            return Err(wrong());
        };
        format!("{scheme}://{authority}{location}")
    } else {
        return Err(wrong());
    };
    let to: Uri = absolute.parse().map_err(|_| wrong())?;
    let weaker = from.scheme_str() == Some("https") && to.scheme_str() != Some("https");
    if weaker { Err(wrong()) } else { Ok(to) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_the_web_and_never_out_of_https() {
        let from = |url: &str| url.parse::<Uri>().expect("an address");
        let lead = |url: &str, to: &str| joined(&from(url), to).ok().map(|to| to.to_string());
        assert_eq!(lead("https://a/x?y", "/b").as_deref(), Some("https://a/b"));
        assert_eq!(
            lead("http://a/x", "https://b/c").as_deref(),
            Some("https://b/c")
        );
        for to in [
            "http://b/",
            "//b/c",
            "ftp://b",
            "b",
            "",
            "file:///etc/passwd",
        ] {
            assert_eq!(lead("https://a/x", to), None, "{to}");
        }
    }
}
