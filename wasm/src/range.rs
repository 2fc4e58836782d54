//! Which bytes of which file a stream asked for, checked.

use std::ops::Range;

/// Bytes `start..end` of a file of `length` bytes, from its first byte and to its last where none
/// is named; `None` if they do not lie within it. Only the empty file has an empty range.
pub(crate) fn within(length: u64, start: Option<u64>, end: Option<u64>) -> Option<Range<u64>> {
    let range = start.unwrap_or(0)..end.unwrap_or(length);
    let is_within = range.start < range.end && range.end <= length;
    (is_within || length == 0 && range == (0..0)).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_taken_as_it_is_or_not_at_all() {
        assert_eq!(within(10, None, None), Some(0..10));
        assert_eq!(within(10, Some(0), Some(1)), Some(0..1));
        assert_eq!(within(10, Some(9), None), Some(9..10));
        for (start, end) in [
            (10, 10),
            (5, 5),
            (6, 5),
            (0, 11),
            (11, 12),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(within(10, Some(start), Some(end)), None, "{start}..{end}");
        }
    }

    #[test]
    fn an_empty_file_has_one_range() {
        assert_eq!(within(0, None, None), Some(0..0));
        assert_eq!(within(0, Some(0), Some(1)), None);
    }
}
