//! A file in an object store that speaks S3, read by its ranges.
//!
//! Signing and the store's dialect are the crate's affair; how a server is reached is ours, so that
//! no second HTTP client comes with it. Endpoint, region and credentials are those of the usual
//! environment (`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, …).

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, header};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetResult, ObjectMeta, ObjectStore, RetryConfig};
use tokio::time::timeout;

use super::{Server, Trouble, Version, wait};
use crate::error::{Error, Result};
use crate::http::fetch;

/// A store that says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// The file.
#[derive(Debug)]
pub struct StoredFile {
    address: String,
    path: Path,
    store: AmazonS3,
}

impl StoredFile {
    /// At `s3://bucket/path`.
    pub fn new(address: &str) -> Result<Self> {
        let wrong = |why: String| Error::Other(format!("{address} cannot be read: {why}"));
        let rest = address.split_once("://").map_or("", |(_, rest)| rest);
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_http_connector(Ours)
            // Whoever reads the file asks again by itself.
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            });
        Ok(Self {
            path: Path::parse(path).map_err(|e| wrong(e.to_string()))?,
            store: store.build().map_err(|e| wrong(e.to_string()))?,
            address: address.to_owned(),
        })
    }

    async fn get(&self, range: Range<u64>, if_match: Option<String>) -> Result<GetResult, Trouble> {
        let options = GetOptions {
            range: Some(range.clone().into()),
            if_match,
            ..GetOptions::default()
        };
        let asked = timeout(PATIENCE, self.store.get_opts(&self.path, options)).await;
        let answer = asked.map_err(|_| late())?.map_err(trouble)?;
        match answer.range == range {
            true => Ok(answer),
            false => Err(Trouble::Failed("it sends another range".to_owned())),
        }
    }

    async fn fetch(
        &self,
        version: &Version,
        range: Range<u64>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Trouble> {
        let answer = self.get(range.clone(), version.tag.clone()).await?;
        version.expect(&version_of(&answer.meta))?;
        let mut left = range.end - range.start;
        let mut body = answer.into_stream();
        while left > 0 {
            let bytes = timeout(PATIENCE, body.next()).await.map_err(|_| late())?;
            let ended = || Trouble::Failed("it ended before all was sent".to_owned());
            let bytes = bytes.ok_or_else(ended)?.map_err(trouble)?;
            let bytes = &bytes[..left.min(bytes.len() as u64) as usize];
            left -= bytes.len() as u64;
            take(bytes);
        }
        Ok(())
    }
}

impl Server for StoredFile {
    fn name(&self) -> &str {
        &self.address
    }

    fn look(&self) -> Result<Version, Trouble> {
        let answer = wait(self.get(0..1, None))?;
        Ok(version_of(&answer.meta))
    }

    fn read(
        &self,
        version: &Version,
        range: Range<u64>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Trouble> {
        wait(self.fetch(version, range, take))
    }
}

fn version_of(meta: &ObjectMeta) -> Version {
    Version {
        length: meta.size,
        tag: meta.e_tag.clone(),
        modified: Some(meta.last_modified.to_rfc2822()),
    }
}

fn late() -> Trouble {
    Trouble::Failed(format!("it said nothing for {} s", PATIENCE.as_secs()))
}

fn trouble(error: object_store::Error) -> Trouble {
    let words = error.to_string();
    match error {
        object_store::Error::NotFound { .. } | object_store::Error::Precondition { .. } => {
            Trouble::Changed(words)
        }
        _ => Trouble::Failed(words),
    }
}

/// Our own way to a server: a connection for each request, which has no body.
#[derive(Clone, Copy, Debug)]
struct Ours;

impl HttpConnector for Ours {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self))
    }
}

impl HttpService for Ours {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(ask(request))
    }
}

async fn ask(request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let failed = |why: String| HttpError::new(HttpErrorKind::Connect, std::io::Error::other(why));
    let (head, body) = request.into_parts();
    if !body.is_empty() {
        return Err(failed("we only read".to_owned()));
    }
    let at = head.uri.clone();
    // The endpoint is the person's, who may have a store in the next room.
    let (mut line, _) = fetch::line(&at, |_| true).await.map_err(failed)?;
    let host = at.authority().map_or("", |authority| authority.as_str());
    let path = at.path_and_query().map_or("/", |path| path.as_str());
    let mut ours = Request::builder().method(head.method).uri(path);
    for (name, value) in &head.headers {
        ours = ours.header(name, value);
    }
    if !head.headers.contains_key(header::HOST) {
        ours = ours.header(header::HOST, host);
    }
    let ours = ours.body(Empty::new()).map_err(|e| failed(e.to_string()))?;
    let broken = |e| HttpError::new(HttpErrorKind::Request, e);
    let answer = line.send_request(ours).await.map_err(broken)?;
    Ok(answer.map(|body| HttpResponseBody::new(body.map_err(broken))))
}
