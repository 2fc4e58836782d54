//! A file on a web server, read by its ranges: what is seeded without a copy of it.
//!
//! It is held to what a web seed is held to: only exactly what was asked for is an answer, and a
//! redirect leads no nearer to us than where the person sent us.

use std::cell::RefCell;
use std::ops::Range;

use hyper::{HeaderMap, Response, StatusCode, header};

use super::answer::{skipped, word};
use super::lines::Lines;
use super::{Trust, Wanted, request};
use crate::error::Result;
use crate::remote::{Server, Trouble, Version, wait};

/// The file.
#[derive(Debug)]
pub struct WebFile {
    url: String,
    name: String,
    lines: Lines,
}

impl WebFile {
    /// At an address that the person named.
    pub fn new(url: &str) -> Self {
        let without_secrets = url.split(['?', '#']).next().unwrap_or_default();
        Self {
            url: url.split('#').next().unwrap_or_default().to_owned(),
            name: without_secrets.to_owned(),
            lines: Lines::default(),
        }
    }

    async fn look(&self) -> Result<Version, Trouble> {
        // The length is what we want to know.
        let wanted = self.wanted(0..1, 0);
        let begun = request::begin(&self.lines, Trust::Person, &wanted).await;
        let (_, _, response) = begun.map_err(Trouble::Failed)?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => version_of(response.headers())
                .ok_or_else(|| Trouble::Failed("it does not say how long the file is".to_owned())),
            StatusCode::OK => Err(Trouble::Failed(
                "it ignores Range, so that no part of the file can be fetched again".to_owned(),
            )),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(Trouble::Failed("there is nothing in it".to_owned()))
            }
            _ => Err(refusal(&response)),
        }
    }

    async fn read(
        &self,
        version: &Version,
        range: Range<u64>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Trouble> {
        let wanted = self.wanted(range, version.length);
        let begun = request::begin(&self.lines, Trust::Person, &wanted).await;
        let (at, line, response) = begun.map_err(Trouble::Failed)?;
        if !response.status().is_success() {
            return Err(refusal(&response));
        }
        if let Some(now) = version_of(response.headers()) {
            version.expect(&now)?;
        }
        let skip = skipped(&response, &wanted).map_err(Trouble::Failed)?;
        let take = RefCell::new(take);
        let take = |bytes: bytes::Bytes| {
            (take.borrow_mut())(&bytes);
            std::future::ready(())
        };
        let left = wanted.range.end - wanted.range.start;
        let all_read = request::pour(response.into_body(), skip, left, take).await;
        if all_read.map_err(Trouble::Failed)? {
            self.lines.give_back(&at, line);
        }
        Ok(())
    }

    fn wanted(&self, range: Range<u64>, length: u64) -> Wanted {
        let url = self.url.clone();
        Wanted { url, range, length }
    }
}

impl Server for WebFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn look(&self) -> Result<Version, Trouble> {
        wait(self.look())
    }

    fn read(
        &self,
        version: &Version,
        range: Range<u64>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Trouble> {
        wait(self.read(version, range, take))
    }
}

/// A file that is not there any more is another thing than a server that is unwell.
fn refusal<B>(response: &Response<B>) -> Trouble {
    let status = response.status();
    let words = format!("the server says {status}");
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::RANGE_NOT_SATISFIABLE => {
            Trouble::Changed(words)
        }
        _ => Trouble::Failed(words),
    }
}

/// Which version of the file the head of a 206 speaks of.
fn version_of(headers: &HeaderMap) -> Option<Version> {
    let range = word(headers, header::CONTENT_RANGE)?;
    let length = range.rsplit_once('/')?.1.parse().ok()?;
    let text = |name| word(headers, name).map(str::to_owned);
    Some(Version {
        length,
        tag: text(header::ETAG),
        modified: text(header::LAST_MODIFIED),
    })
}
