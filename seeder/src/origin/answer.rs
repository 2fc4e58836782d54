//! Whether an answer is what was asked for.
//!
//! By its head alone; that the bytes are the film's is for the core to find out. A server that
//! ignores `Range`, or knows another file under the address, is told from one that is right before
//! its first byte is used.

use hyper::header::{self, HeaderMap};
use hyper::{Response, StatusCode};

use super::Wanted;

/// Bytes that are read and thrown away at most, where a server ignores `Range`.
const MAX_SKIPPED: u64 = 16 << 20;

/// The bytes of a body to pass over before those that were asked for; why it is no good otherwise.
pub(super) fn skipped<B>(response: &Response<B>, wanted: &Wanted) -> Result<u64, String> {
    let (status, headers) = (response.status(), response.headers());
    if let Some(coding) =
        word(headers, header::CONTENT_ENCODING).filter(|coding| *coding != "identity")
    {
        return Err(format!("it compresses what it sends ({coding})"));
    }
    let declared =
        word(headers, header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    match status {
        StatusCode::PARTIAL_CONTENT => {
            let range = &wanted.range;
            let right = format!("bytes {}-{}/{}", range.start, range.end - 1, wanted.length);
            let said = word(headers, header::CONTENT_RANGE).unwrap_or("nothing");
            if said != right {
                return Err(format!("it was asked for {right} and says it sends {said}"));
            }
            match declared {
                Some(length) if length != range.end - range.start => {
                    Err(format!("it says {right} and sends {length} bytes"))
                }
                _ => Ok(0),
            }
        }
        StatusCode::OK => match declared {
            Some(length) if length == wanted.length && wanted.range.start <= MAX_SKIPPED => {
                Ok(wanted.range.start)
            }
            Some(length) if length == wanted.length => {
                Err("it ignores Range, and the file is too long to be sent whole".to_owned())
            }
            Some(length) => Err(format!(
                "its file has {length} bytes, and the torrent's {}",
                wanted.length
            )),
            None => Err("it ignores Range, and does not say how long its file is".to_owned()),
        },
        status => Err(format!("it says {status}")),
    }
}

pub(super) fn word(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(
        status: u16,
        headers: &[(&str, &str)],
        range: std::ops::Range<u64>,
    ) -> Result<u64, String> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let wanted = Wanted {
            url: String::new(),
            range,
            length: 100 << 20,
        };
        skipped(&response.body(()).expect("a response"), &wanted)
    }

    #[test]
    fn only_what_was_asked_for_is_an_answer() {
        let whole = (100u64 << 20).to_string();
        let exact = ("content-range", "bytes 10-19/104857600");
        assert_eq!(answer(206, &[exact], 10..20), Ok(0));
        assert_eq!(
            answer(206, &[exact, ("content-length", "10")], 10..20),
            Ok(0)
        );
        let identity = ("content-encoding", "identity");
        assert_eq!(answer(206, &[exact, identity], 10..20), Ok(0));
        assert_eq!(answer(200, &[("content-length", &whole)], 10..20), Ok(10));
        for (status, headers) in [
            (206, &[][..]),
            (206, &[("content-range", "bytes 0-9/104857600")]),
            (206, &[("content-range", "bytes 10-19/104857601")]),
            (206, &[("content-range", "bytes 10-19/*")]),
            (206, &[exact, ("content-length", "11")]),
            (206, &[exact, ("content-encoding", "gzip")]),
            (200, &[]),
            (200, &[("content-length", "99")]),
            (
                200,
                &[("content-length", &whole), ("content-encoding", "br")],
            ),
            (204, &[]),
            (404, &[]),
            (416, &[]),
        ] {
            let said = answer(status, headers, 10..20);
            assert!(said.is_err(), "{status} {headers:?}: {said:?}");
        }
        let far = (90 << 20)..(91 << 20);
        assert!(answer(200, &[("content-length", &whole)], far).is_err());
    }
}
