//! One request to an origin: where it leads, and what comes back.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::{Request, Response, Uri, header};
use tokio::time::timeout;

use super::answer::skipped;
use super::lines::{Line, Lines};
use super::{Trust, Wanted};
use crate::http::fetch::{USER_AGENT, redirected};

/// An origin that does not begin to answer by then has failed.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);

/// An origin that stops in the middle for so long has failed. The core gives it up sooner.
const GOES_ON_WITHIN: Duration = Duration::from_secs(20);

/// How long the end of a body may be in coming, when all of it is there.
const ENDS_WITHIN: Duration = Duration::from_millis(50);

/// Redirects followed.
const MAX_REDIRECTS: usize = 5;

/// Asks for bytes of a file, and hands them on as they come; no more than were asked for.
pub(super) async fn make<Taken: Future<Output = ()>>(
    lines: &Lines,
    trust: Trust,
    wanted: &Wanted,
    take: impl Fn(Bytes) -> Taken,
) -> Result<(), String> {
    let (at, line, response) = begin(lines, trust, wanted).await?;
    let skip = skipped(&response, wanted)?;
    let left = wanted.range.end - wanted.range.start;
    if pour(response.into_body(), skip, left, take).await? {
        lines.give_back(&at, line);
    }
    Ok(())
}

/// Asks, and waits for the head of the answer: from where, on which line, and what.
pub(super) async fn begin(
    lines: &Lines,
    trust: Trust,
    wanted: &Wanted,
) -> Result<(Uri, Line, Response<Incoming>), String> {
    let asked = timeout(ANSWERS_WITHIN, ask(lines, trust, wanted));
    let late = format!("it did not answer within {} s", ANSWERS_WITHIN.as_secs());
    asked.await.map_err(|_| late)?
}

/// Hands on `left` bytes of a body after `skip` others; whether the line is good for more.
pub(super) async fn pour<Taken: Future<Output = ()>>(
    mut body: Incoming,
    mut skip: u64,
    mut left: u64,
    take: impl Fn(Bytes) -> Taken,
) -> Result<bool, String> {
    while left > 0 {
        let frame = timeout(GOES_ON_WITHIN, body.frame()).await;
        let frame =
            frame.map_err(|_| format!("it sent nothing for {} s", GOES_ON_WITHIN.as_secs()))?;
        let Some(frame) = frame else {
            return Err("it ended before all was sent".to_owned());
        };
        let Ok(mut bytes) = frame.map_err(|e| format!("it broke off: {e}"))?.into_data() else {
            continue;
        };
        let passed = skip.min(bytes.len() as u64);
        skip -= passed;
        bytes.advance(passed as usize);
        bytes.truncate(left.min(bytes.len() as u64) as usize);
        left -= bytes.len() as u64;
        if !bytes.is_empty() {
            take(bytes).await;
        }
    }
    // A whole file of which we wanted a part is broken off.
    Ok(matches!(timeout(ENDS_WITHIN, body.frame()).await, Ok(None)))
}

/// Follows redirects to the answer.
async fn ask(
    lines: &Lines,
    trust: Trust,
    wanted: &Wanted,
) -> Result<(Uri, Line, Response<Incoming>), String> {
    let mut at: Uri = wanted
        .url
        .parse()
        .map_err(|_| "its address is none".to_owned())?;
    let mut home = None;
    for _ in 0..=MAX_REDIRECTS {
        if !matches!(at.scheme_str(), Some("http" | "https")) {
            return Err("its address is not of the web".to_owned());
        }
        let (line, response) = ask_at(lines, &at, wanted, |ip| trust.allows(ip, home)).await?;
        home.get_or_insert(line.ip);
        if !response.status().is_redirection() {
            return Ok((at, line, response));
        }
        at = redirected(&at, &response)?;
    }
    Err(format!("it redirects more than {MAX_REDIRECTS} times"))
}

async fn ask_at(
    lines: &Lines,
    at: &Uri,
    wanted: &Wanted,
    may: impl Fn(IpAddr) -> bool,
) -> Result<(Line, Response<Incoming>), String> {
    // A line that waited may have been hung up meanwhile: then a new one.
    if let Some(mut line) = lines.take(at, &may)
        && let Ok(response) = line.sender.send_request(request(at, wanted)?).await
    {
        return Ok((line, response));
    }
    let mut line = lines.open(at, &may).await?;
    let response = line.sender.send_request(request(at, wanted)?).await;
    response
        .map(|response| (line, response))
        .map_err(|e| e.to_string())
}

fn request(at: &Uri, wanted: &Wanted) -> Result<Request<Empty<Bytes>>, String> {
    let range = format!("bytes={}-{}", wanted.range.start, wanted.range.end - 1);
    Request::get(at.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, at.authority().map_or("", |a| a.as_str()))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::RANGE, range)
        .body(Empty::new())
        .map_err(|e| e.to_string())
}
