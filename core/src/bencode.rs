//! Bencoding (BEP 3): bytes to values and back.
//!
//! Reading borrows: a [`Document`] is a flat list of spans over the input, 8 bytes a value, so
//! that no input makes it hold more than four times its own size, however it is nested. Every
//! value keeps its raw bytes, which is what an info hash is taken over.
//!
//! Stricter than most readers on purpose: numbers have one spelling, a key appears once. Keys
//! out of order are read, for such torrents exist and re-encode byte for byte all the same.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

/// How much of a stranger's bencoding to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How deep lists and dictionaries may nest, at most [`MAX_DEPTH`].
    pub depth: usize,
    /// How many values, keys and containers counted.
    pub tokens: usize,
}

/// Deepest nesting that can be allowed: what bounds the reader's stack.
pub const MAX_DEPTH: usize = 100;

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: MAX_DEPTH,
            tokens: 3_000_000,
        }
    }
}

/// What is wrong with bytes that are no bencoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    /// What.
    pub kind: ErrorKind,
    /// At which byte.
    pub at: usize,
}

/// The ways bytes can fail to be bencoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes end inside a value.
    Ended,
    /// Something other than a value, an end or a string key.
    Unexpected,
    /// A number with a leading zero, a `-0`, no digits, or more than 64 bits.
    Number,
    /// A key that its dictionary already has.
    DuplicateKey,
    /// Nested deeper than allowed.
    TooDeep,
    /// More values than allowed.
    TooManyTokens,
    /// More bytes than allowed.
    TooLong,
    /// Bytes behind the value.
    Trailing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::Ended => "it ends inside a value",
            ErrorKind::Unexpected => "no value starts like this",
            ErrorKind::Number => "a number is not written the one right way",
            ErrorKind::DuplicateKey => "a dictionary has the same key twice",
            ErrorKind::TooDeep => "it is nested too deep",
            ErrorKind::TooManyTokens => "it has too many values",
            ErrorKind::TooLong => "it is too long",
            ErrorKind::Trailing => "there are bytes behind the value",
        };
        write!(f, "{what} (at byte {})", self.at)
    }
}

impl core::error::Error for Error {}

/// Reads one value that is all of the input.
pub fn decode(bytes: &[u8], limits: Limits) -> Result<Document<'_>, Error> {
    let (document, rest) = decode_prefix(bytes, limits)?;
    if rest.is_empty() {
        Ok(document)
    } else {
        Err(Error {
            kind: ErrorKind::Trailing,
            at: bytes.len() - rest.len(),
        })
    }
}

/// Reads one value and gives back the bytes behind it.
pub fn decode_prefix(bytes: &[u8], limits: Limits) -> Result<(Document<'_>, &[u8]), Error> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(Error {
            kind: ErrorKind::TooLong,
            at: bytes.len(),
        });
    }
    // Counting first costs a second walk and saves the doubling of a growing list.
    let mut counter = Reader::new(bytes, limits, Vec::new(), false);
    counter.read()?;
    let tokens = Vec::with_capacity(counter.count);
    let mut reader = Reader::new(bytes, limits, tokens, true);
    reader.unsorted = Vec::with_capacity(counter.unsorted_count);
    let end = reader.read()?;
    let document = Document {
        bytes,
        tokens: reader.tokens,
        unsorted: reader.unsorted,
    };
    Ok((document, &bytes[end..]))
}

/// Where one value starts and ends. Values stand in the order of their first bytes.
#[derive(Clone, Copy, Debug)]
struct Token {
    start: u32,
    end: u32,
}

/// A value read, and all within it.
#[derive(Debug)]
pub struct Document<'a> {
    bytes: &'a [u8],
    tokens: Vec<Token>,
    /// Where dictionaries start whose keys are out of order.
    unsorted: Vec<u32>,
}

impl<'a> Document<'a> {
    /// The outermost value.
    pub fn root(&self) -> Value<'a, '_> {
        Value {
            document: self,
            token: 0,
        }
    }
}

/// One value of a [`Document`]: cheap to copy.
#[derive(Clone, Copy)]
pub struct Value<'a, 'd> {
    document: &'d Document<'a>,
    token: usize,
}

impl<'a, 'd> Value<'a, 'd> {
    /// The bytes it was read from.
    pub fn raw(&self) -> &'a [u8] {
        let bytes: &'a [u8] = self.document.bytes;
        &bytes[self.offset()..self.end()]
    }

    /// Where [`raw`](Self::raw) starts in the input.
    pub fn offset(&self) -> usize {
        self.document.tokens[self.token].start as usize
    }

    fn end(&self) -> usize {
        self.document.tokens[self.token].end as usize
    }

    fn first(&self) -> u8 {
        self.document.bytes[self.offset()]
    }

    /// The string, if it is one.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        if !self.first().is_ascii_digit() {
            return None;
        }
        let raw = self.raw();
        let colon = raw.iter().position(|byte| *byte == b':')?;
        Some(&raw[colon + 1..])
    }

    /// The string, if it is one and UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        core::str::from_utf8(self.bytes()?).ok()
    }

    /// The number, if it is one.
    pub fn int(&self) -> Option<i64> {
        let raw = self.raw();
        if self.first() != b'i' {
            return None;
        }
        core::str::from_utf8(&raw[1..raw.len() - 1])
            .ok()?
            .parse()
            .ok()
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        self.first() == b'l'
    }

    /// Whether it is a dictionary.
    pub fn is_dict(&self) -> bool {
        self.first() == b'd'
    }

    /// What is in the list, if it is one.
    pub fn list(&self) -> Option<Items<'a, 'd>> {
        self.is_list().then(|| self.items())
    }

    /// Keys and values as they stand, if it is a dictionary.
    pub fn dict(&self) -> Option<Entries<'a, 'd>> {
        self.is_dict().then(|| Entries(self.items()))
    }

    /// Whether the keys of every dictionary in it stand in order.
    pub fn is_sorted(&self) -> bool {
        let span = self.offset()..self.end();
        !self
            .document
            .unsorted
            .iter()
            .any(|start| span.contains(&(*start as usize)))
    }

    /// The value of this key, if it is a dictionary and has it.
    pub fn get(&self, key: &[u8]) -> Option<Value<'a, 'd>> {
        self.dict()?
            .find(|(k, _)| *k == key)
            .map(|(_, value)| value)
    }

    fn items(&self) -> Items<'a, 'd> {
        Items {
            document: self.document,
            next: self.token + 1,
            end: self.document.tokens[self.token].end,
        }
    }
}

impl fmt::Debug for Value<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.raw().escape_ascii())
    }
}

/// The values of a list, in order.
#[derive(Clone, Debug)]
pub struct Items<'a, 'd> {
    document: &'d Document<'a>,
    next: usize,
    end: u32,
}

impl<'a, 'd> Iterator for Items<'a, 'd> {
    type Item = Value<'a, 'd>;

    fn next(&mut self) -> Option<Self::Item> {
        let tokens = &self.document.tokens;
        let token = *tokens.get(self.next).filter(|t| t.start < self.end)?;
        let value = Value {
            document: self.document,
            token: self.next,
        };
        self.next = after(tokens, self.next, token.end);
        Some(value)
    }
}

/// The first token past `end`, doubling its stride: most values are short.
fn after(tokens: &[Token], from: usize, end: u32) -> usize {
    let mut low = from + 1;
    let mut stride = 1;
    while tokens.get(low + stride - 1).is_some_and(|t| t.start < end) {
        low += stride;
        stride *= 2;
    }
    let high = tokens.len().min(low + stride);
    low + tokens[low..high].partition_point(|t| t.start < end)
}

/// The keys and values of a dictionary, in the order they were found.
#[derive(Clone, Debug)]
pub struct Entries<'a, 'd>(Items<'a, 'd>);

impl<'a, 'd> Iterator for Entries<'a, 'd> {
    type Item = (&'a [u8], Value<'a, 'd>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.next()?.bytes()?;
        Some((key, self.0.next()?))
    }
}

/// A list or dictionary not yet ended.
#[derive(Clone, Copy, Default)]
struct Open {
    token: u32,
    is_dict: bool,
    wants_value: bool,
    sorted: bool,
    last_key: Option<(u32, u32)>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    limits: Limits,
    tokens: Vec<Token>,
    unsorted: Vec<u32>,
    keeps: bool,
    count: usize,
    unsorted_count: usize,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], limits: Limits, tokens: Vec<Token>, keeps: bool) -> Self {
        Self {
            bytes,
            limits,
            tokens,
            unsorted: Vec::new(),
            keeps,
            count: 0,
            unsorted_count: 0,
            at: 0,
        }
    }

    /// Reads one value; says where it ends.
    fn read(&mut self) -> Result<usize, Error> {
        let mut open = [Open::default(); MAX_DEPTH];
        let mut depth = 0;
        loop {
            let byte = *self
                .bytes
                .get(self.at)
                .ok_or(self.error(ErrorKind::Ended))?;
            if byte == b'e' && depth > 0 && !open[depth - 1].wants_value {
                self.at += 1;
                depth -= 1;
                self.close(&open[depth])?;
            } else if matches!(byte, b'l' | b'd') {
                if let Some(parent) = open[..depth].last_mut() {
                    self.expect_value(parent)?;
                }
                if depth >= self.limits.depth.min(MAX_DEPTH) {
                    return Err(self.error(ErrorKind::TooDeep));
                }
                open[depth] = Open {
                    token: self.count as u32,
                    is_dict: byte == b'd',
                    sorted: true,
                    ..Open::default()
                };
                depth += 1;
                self.push(self.at, self.at)?;
                self.at += 1;
            } else {
                let start = self.at;
                let content = self.scalar()?;
                match open[..depth].last_mut() {
                    Some(parent) if parent.is_dict && !parent.wants_value => {
                        self.key(parent, start, content)?;
                    }
                    Some(parent) => parent.wants_value = false,
                    None => {}
                }
                self.push(start, self.at)?;
            }
            if depth == 0 {
                return Ok(self.at);
            }
        }
    }

    fn expect_value(&self, parent: &mut Open) -> Result<(), Error> {
        if parent.is_dict && !parent.wants_value {
            return Err(self.error(ErrorKind::Unexpected));
        }
        parent.wants_value = false;
        Ok(())
    }

    /// Takes a number or a string; says where a string's content starts.
    fn scalar(&mut self) -> Result<Option<usize>, Error> {
        if self.bytes[self.at] == b'i' {
            self.at += 1;
            self.number(b'e', true)?;
            return Ok(None);
        }
        if !self.bytes[self.at].is_ascii_digit() {
            return Err(self.error(ErrorKind::Unexpected));
        }
        let start = self.at;
        let length = self.number(b':', false)?;
        let content = self.at;
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| content.checked_add(length))
            .filter(|end| *end <= self.bytes.len());
        self.at = end.ok_or(Error {
            kind: ErrorKind::Ended,
            at: start,
        })?;
        Ok(Some(content))
    }

    fn number(&mut self, end: u8, signed: bool) -> Result<i64, Error> {
        let error = self.error(ErrorKind::Number);
        // 20 bytes hold any i64 and its end.
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(21)];
        let length = window.iter().position(|byte| *byte == end).ok_or({
            if window.len() < 21 && window.iter().all(|b| b.is_ascii_digit() || *b == b'-') {
                self.error(ErrorKind::Ended)
            } else {
                error
            }
        })?;
        let text = &window[..length];
        let (digits, negative) = match text {
            [b'-', digits @ ..] if signed => (digits, true),
            digits => (digits, false),
        };
        let canonical = match digits {
            [] => false,
            [b'0'] => !negative,
            [b'0', ..] => false,
            _ => digits.iter().all(u8::is_ascii_digit),
        };
        if !canonical {
            return Err(error);
        }
        let value = core::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(error)?;
        self.at += length + 1;
        Ok(value)
    }

    fn key(&self, dict: &mut Open, start: usize, content: Option<usize>) -> Result<(), Error> {
        let error = |kind| Error { kind, at: start };
        let content = content.ok_or(error(ErrorKind::Unexpected))?;
        let key = &self.bytes[content..self.at];
        if let Some((from, to)) = dict.last_key {
            match key.cmp(&self.bytes[from as usize..to as usize]) {
                core::cmp::Ordering::Equal => return Err(error(ErrorKind::DuplicateKey)),
                core::cmp::Ordering::Less => dict.sorted = false,
                core::cmp::Ordering::Greater => {}
            }
        }
        dict.last_key = Some((content as u32, self.at as u32));
        dict.wants_value = true;
        Ok(())
    }

    fn close(&mut self, open: &Open) -> Result<(), Error> {
        if !self.keeps {
            self.unsorted_count += usize::from(open.is_dict && !open.sorted);
            return Ok(());
        }
        self.tokens[open.token as usize].end = self.at as u32;
        if open.is_dict && !open.sorted {
            self.check_unsorted_keys(open.token as usize)?;
        }
        Ok(())
    }

    /// Looks for a key that a dictionary out of order has twice.
    fn check_unsorted_keys(&mut self, dict: usize) -> Result<(), Error> {
        let document = Document {
            bytes: self.bytes,
            tokens: core::mem::take(&mut self.tokens),
            unsorted: Vec::new(),
        };
        let value = Value {
            document: &document,
            token: dict,
        };
        // Places of keys, not keys: four bytes each, and no more room than they need.
        let count = Entries(value.items()).count();
        let mut keys: Vec<u32> = Vec::with_capacity(count);
        keys.extend(value.items().step_by(2).map(|key| key.token as u32));
        let key = |token: &u32| {
            Value {
                document: &document,
                token: *token as usize,
            }
            .bytes()
        };
        keys.sort_unstable_by(|left, right| key(left).cmp(&key(right)));
        let twice = keys.windows(2).any(|pair| key(&pair[0]) == key(&pair[1]));
        let at = value.offset();
        self.unsorted.push(at as u32);
        self.tokens = document.tokens;
        if twice {
            return Err(Error {
                kind: ErrorKind::DuplicateKey,
                at,
            });
        }
        Ok(())
    }

    fn push(&mut self, start: usize, end: usize) -> Result<(), Error> {
        if self.count >= self.limits.tokens {
            return Err(self.error(ErrorKind::TooManyTokens));
        }
        self.count += 1;
        if self.keeps {
            self.tokens.push(Token {
                start: start as u32,
                end: end as u32,
            });
        }
        Ok(())
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error { kind, at: self.at }
    }
}

/// Writes bencoding, value after value.
///
/// The caller closes what it opens and gives a dictionary's keys in order; a debug build checks
/// the order.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
    #[cfg(debug_assertions)]
    keys: Vec<Option<Vec<u8>>>,
}

impl Encoder {
    /// Nothing written yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a list.
    pub fn list(&mut self) -> &mut Self {
        self.out.push(b'l');
        #[cfg(debug_assertions)]
        self.keys.push(None);
        self
    }

    /// Opens a dictionary.
    pub fn dict(&mut self) -> &mut Self {
        self.out.push(b'd');
        #[cfg(debug_assertions)]
        self.keys.push(None);
        self
    }

    /// Closes the list or dictionary opened last.
    pub fn end(&mut self) -> &mut Self {
        self.out.push(b'e');
        #[cfg(debug_assertions)]
        self.keys.pop();
        self
    }

    /// A dictionary's next key.
    pub fn key(&mut self, key: &[u8]) -> &mut Self {
        #[cfg(debug_assertions)]
        if let Some(last) = self.keys.last_mut() {
            debug_assert!(
                last.as_deref().is_none_or(|last| last < key),
                "keys out of order"
            );
            *last = Some(key.to_vec());
        }
        self.bytes(key)
    }

    /// A string.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out
            .extend_from_slice(bytes.len().to_string().as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(bytes);
        self
    }

    /// A number.
    pub fn int(&mut self, number: i64) -> &mut Self {
        self.out.push(b'i');
        self.out.extend_from_slice(number.to_string().as_bytes());
        self.out.push(b'e');
        self
    }

    /// A value that is bencoding already.
    pub fn raw(&mut self, bencoding: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bencoding);
        self
    }

    /// All that was written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_input_holds_more_than_four_times_its_size() {
        // The most values a byte can be made to hold, and the most dictionaries out of order.
        for part in [&b"le"[..], b"0:", b"de", b"i0e", b"d1:b0:0:0:e", b"d0:lee"] {
            let bytes = [&b"l"[..], &part.repeat(100_000), b"e"].concat();
            let document = decode(&bytes, Limits::default()).expect("bencoding");
            let held = document.tokens.capacity() * size_of::<Token>()
                + document.unsorted.capacity() * size_of::<u32>();
            assert!(held <= 4 * bytes.len(), "{held} for {}", bytes.len());
        }
    }
}
