//! Connections to origins, kept open between requests.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Uri;
use hyper::client::conn::http1::SendRequest;

use crate::http::fetch;

/// Connections that wait for another request, to one host.
const MAX_IDLE: usize = 2;

/// A connection, and where it leads.
#[derive(Debug)]
pub(super) struct Line {
    pub sender: SendRequest<Empty<Bytes>>,
    pub ip: IpAddr,
}

/// Those that wait for another request, by scheme and host.
#[derive(Debug, Default)]
pub(super) struct Lines {
    idle: Mutex<BTreeMap<String, Vec<Line>>>,
}

impl Lines {
    /// One that waits, if it leads where we may go.
    pub fn take(&self, at: &Uri, may: impl Fn(IpAddr) -> bool) -> Option<Line> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = idle.get_mut(&host_of(at))?;
        lines.retain(|line| !line.sender.is_closed());
        let at = lines
            .iter()
            .position(|line| line.sender.is_ready() && may(line.ip))?;
        Some(lines.swap_remove(at))
    }

    /// A new one.
    pub async fn open(&self, at: &Uri, may: impl Fn(IpAddr) -> bool) -> Result<Line, String> {
        let (sender, ip) = fetch::line(at, may).await?;
        Ok(Line { sender, ip })
    }

    /// An answer has been read to its end: the next may use it.
    pub fn give_back(&self, at: &Uri, line: Line) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, lines| {
            lines.retain(|line| !line.sender.is_closed());
            !lines.is_empty()
        });
        let lines = idle.entry(host_of(at)).or_default();
        if lines.len() < MAX_IDLE {
            lines.push(line);
        }
    }
}

fn host_of(at: &Uri) -> String {
    let authority = at.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}", at.scheme_str().unwrap_or_default())
}
