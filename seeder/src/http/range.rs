//! The `Range` header (RFC 9110 §14), of one range: what it asks of a file of a known length.

use std::ops::Range;

/// What to answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// 200, the whole file.
    All,
    /// 206, these bytes.
    Part(Range<u64>),
    /// 416.
    Beyond,
}

/// Reads a `Range` header; what is malformed or of several ranges asks for all, as the RFC allows.
pub(super) fn asked(header: Option<&str>, length: u64) -> Asked {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Asked::All;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Asked::All;
    };
    let (first, last) = (number(first), number(last));
    let range = match (first, last) {
        (Number::Is(first), Number::Is(last)) if first <= last => {
            first..last.saturating_add(1).min(length)
        }
        (Number::Is(first), Number::Absent) => first..length,
        (Number::Absent, Number::Is(suffix)) => length.saturating_sub(suffix)..length,
        _ => return Asked::All,
    };
    if range.is_empty() {
        Asked::Beyond
    } else {
        Asked::Part(range)
    }
}

enum Number {
    Absent,
    Is(u64),
    Malformed,
}

fn number(text: &str) -> Number {
    let text = text.trim();
    match text {
        "" => Number::Absent,
        _ if !text.bytes().all(|b| b.is_ascii_digit()) => Number::Malformed,
        // More digits than fit lie beyond any file.
        _ => Number::Is(text.parse().unwrap_or(u64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_range_gets_its_answer() {
        let cases = [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=0-", Asked::Part(0..100)),
            ("bytes=99-", Asked::Part(99..100)),
            ("bytes=10-19", Asked::Part(10..20)),
            ("bytes=90-200", Asked::Part(90..100)),
            ("bytes=-1", Asked::Part(99..100)),
            ("bytes=-1000", Asked::Part(0..100)),
            ("bytes=100-", Asked::Beyond),
            ("bytes=100-200", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=99999999999999999999999-", Asked::Beyond),
            ("bytes=0-99999999999999999999999", Asked::Part(0..100)),
            ("bytes=5-4", Asked::All),
            ("bytes=-", Asked::All),
            ("bytes=a-b", Asked::All),
            ("bytes=0-1,3-4", Asked::All),
            ("lines=0-1", Asked::All),
            ("", Asked::All),
        ];
        for (header, answer) in cases {
            assert_eq!(asked(Some(header), 100), answer, "{header}");
        }
        assert_eq!(asked(None, 100), Asked::All);
    }

    #[test]
    fn an_empty_file_has_no_range() {
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Beyond);
        assert_eq!(asked(None, 0), Asked::All);
    }
}
