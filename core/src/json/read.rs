//! From text to values.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

/// How deep arrays and objects may lie in each other.
const MAX_DEPTH: u32 = 32;

/// A value of JSON.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number that is whole and not negative, to the last digit.
    Whole(u64),
    /// Any other number, to about fifteen digits.
    Float(f64),
    /// Text.
    String(String),
    /// Values in a row.
    Array(Vec<Value>),
    /// Values by name.
    Object(Object),
}

/// Values by their names; of a name that comes twice, the last counts.
///
/// In the order in which they came: a stranger's thousand names cost what they cost to read, and no more.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// What it has under this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut latest_first = self.0.iter().rev();
        let (_, value) = latest_first.find(|(known, _)| known == name)?;
        Some(value)
    }

    /// The same, taken out; `null` is left there.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let mut latest_first = self.0.iter_mut().rev();
        let (_, value) = latest_first.find(|(known, _)| known == name)?;
        Some(mem::replace(value, Value::Null))
    }

    /// All, as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl Value {
    /// Reads a text that is one value, nested at most 32 deep. `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(MAX_DEPTH)?;
        reader.skip_space();
        (reader.at == text.len()).then_some(value)
    }

    /// What an object has under this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(object) => object.get(name),
            _ => None,
        }
    }

    /// The same, taken out; `null` is left there.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        match self {
            Self::Object(object) => object.take(name),
            _ => None,
        }
    }

    /// Text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// A number.
    pub const fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// A whole number that is not negative and was written as such.
    pub const fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => Some(*number),
            _ => None,
        }
    }

    /// `null`.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Goes past `byte`, if it comes next.
    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        let is_next = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        is_next.then_some(value)
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        self.skip_space();
        match self.peek()? {
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'"' => self.string().map(Value::String),
            b'[' => self.array(depth.checked_sub(1)?),
            b'{' => self.object(depth.checked_sub(1)?),
            _ => self.number(),
        }
    }

    fn array(&mut self, depth: u32) -> Option<Value> {
        let mut values = Vec::new();
        self.each(b']', |reader| {
            values.push(reader.value(depth)?);
            Some(())
        })?;
        Some(Value::Array(values))
    }

    fn object(&mut self, depth: u32) -> Option<Value> {
        let mut object = Object::default();
        self.each(b'}', |reader| {
            reader.skip_space();
            let name = reader.string()?;
            reader.skip_space();
            let value = reader.takes(b':').then(|| reader.value(depth))?;
            object.0.push((name, value?));
            Some(())
        })?;
        Some(Value::Object(object))
    }

    /// From an opening bracket to the `end`, with commas between what `read` reads.
    fn each(&mut self, end: u8, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.skip_space();
        if self.takes(end) {
            return Some(());
        }
        loop {
            read(self)?;
            self.skip_space();
            if self.takes(end) {
                return Some(());
            }
            if !self.takes(b',') {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        if !self.takes(b'"') {
            return None;
        }
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let end = rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\x1f'))?;
            string.push_str(&rest[..end]);
            self.at += end + 1;
            match rest.as_bytes()[end] {
                b'"' => return Some(string),
                b'\\' => string.push(self.escaped()?),
                _ => return None,
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => match self.code_unit()? {
                high @ 0xd800..0xdc00 => {
                    let low =
                        (self.takes(b'\\') && self.takes(b'u')).then(|| self.code_unit())??;
                    let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low)?
                }
                unit => char::from_u32(unit)?,
            },
            _ => return None,
        })
    }

    fn code_unit(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit << 4 | char::from(self.peek()?).to_digit(16)?;
            self.at += 1;
        }
        Some(unit)
    }

    fn number(&mut self) -> Option<Value> {
        let is_negative = self.takes(b'-');
        let leads_with_zero = self.peek() == Some(b'0');
        let mut decimal = Decimal::default();
        let digits = self.digits(|digit| decimal.push_whole(digit))?;
        if leads_with_zero && digits > 1 {
            return None;
        }
        let mut is_whole = !is_negative && decimal.exponent == 0;
        if self.takes(b'.') {
            is_whole = false;
            self.digits(|digit| decimal.push_fraction(digit))?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            is_whole = false;
            let is_down = !self.takes(b'+') && self.takes(b'-');
            let mut exponent: i32 = 0;
            self.digits(|digit| exponent = (exponent * 10 + i32::from(digit)).min(MAX_EXPONENT))?;
            decimal.exponent += if is_down { -exponent } else { exponent };
        }
        if is_whole {
            return Some(Value::Whole(decimal.digits));
        }
        let float = decimal.to_f64();
        let float = if is_negative { -float } else { float };
        float.is_finite().then_some(Value::Float(float))
    }

    /// How many digits came; `None` if there was none.
    fn digits(&mut self, mut each: impl FnMut(u8)) -> Option<usize> {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            each(digit - b'0');
            self.at += 1;
        }
        (self.at > start).then(|| self.at - start)
    }
}

/// Digits, and how many places their point stands to the right of them.
#[derive(Clone, Copy, Default)]
struct Decimal {
    digits: u64,
    exponent: i32,
}

impl Decimal {
    fn push_whole(&mut self, digit: u8) {
        let longer = self.digits.checked_mul(10);
        match longer.and_then(|longer| longer.checked_add(digit.into())) {
            Some(longer) if self.exponent == 0 => self.digits = longer,
            _ => self.exponent += 1,
        }
    }

    fn push_fraction(&mut self, digit: u8) {
        if self.digits < ENOUGH_DIGITS {
            self.digits = self.digits * 10 + u64::from(digit);
            self.exponent -= 1;
        }
    }

    /// By one multiplication after the other: the last digits are rounded more than once.
    fn to_f64(self) -> f64 {
        let mut float = self.digits as f64;
        if self.digits == 0 {
            return float;
        }
        for _ in 0..self.exponent.unsigned_abs().min(MAX_PLACES) {
            float = if self.exponent < 0 {
                float / 10.0
            } else {
                float * 10.0
            };
        }
        float
    }
}

/// More digits than a float holds.
const ENOUGH_DIGITS: u64 = 100_000_000_000_000_000;

/// More places than there are from the smallest float to the largest.
const MAX_PLACES: u32 = 700;

/// An exponent that outweighs all digits a message can have.
const MAX_EXPONENT: i32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::vec;

    fn is_same(ours: &Value, theirs: &serde_json::Value) -> bool {
        use serde_json::Value as Theirs;
        match (ours, theirs) {
            (Value::Null, Theirs::Null) => true,
            (Value::Bool(ours), Theirs::Bool(theirs)) => ours == theirs,
            (Value::Whole(ours), theirs) => theirs.as_u64() == Some(*ours),
            (Value::Float(ours), theirs) => theirs.as_f64().is_some_and(|theirs| {
                let difference = (ours - theirs).abs();
                difference <= theirs.abs() * 1e-13 || difference < f64::MIN_POSITIVE
            }),
            (Value::String(ours), Theirs::String(theirs)) => ours == theirs,
            (Value::Array(ours), Theirs::Array(theirs)) => {
                ours.len() == theirs.len()
                    && ours
                        .iter()
                        .zip(theirs)
                        .all(|(ours, theirs)| is_same(ours, theirs))
            }
            (Value::Object(ours), Theirs::Object(theirs)) => {
                ours.iter().all(|(name, _)| theirs.contains_key(name))
                    && theirs.iter().all(|(name, theirs)| {
                        ours.get(name).is_some_and(|ours| is_same(ours, theirs))
                    })
            }
            _ => false,
        }
    }

    fn assert_as_serde_json(text: &str) {
        match (Value::parse(text), serde_json::from_str(text).ok()) {
            (None, None) => {}
            (Some(ours), Some(theirs)) => assert!(is_same(&ours, &theirs), "{text}: {ours:?}"),
            (ours, theirs) => panic!("{text}: {ours:?}, not {theirs:?}"),
        }
    }

    #[test]
    fn what_is_json_is_read_as_serde_json_reads_it() {
        for text in [
            r#" {"a" : [ 1 , -2.5e-3 , true , null ] , "" : {} } "#,
            r#"{"a":1,"a":2}"#,
            r#""\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t ü""#,
            "\"\u{7f}\"",
            "[[],[[]],{}]",
            "0",
            "-0",
            "18446744073709551615",
            "18446744073709551616",
            "184467440737095516150",
            "99999999999999999999999999999999.99999999999999999999",
            "0.1",
            "123456789012345678901234567890e-10",
            "1e3",
            "1E+3",
            "1e-400",
            "0e999999999999",
            "1.7976931348623157e308",
            "2.2250738585072014e-308",
        ] {
            assert!(Value::parse(text).is_some(), "{text}");
            assert_as_serde_json(text);
        }
    }

    #[test]
    fn what_is_not_json_is_nothing() {
        for text in [
            "",
            " ",
            "nul",
            "truefalse",
            "+1",
            "01",
            "-",
            "1.",
            ".1",
            "1e",
            "1e+",
            "1e999",
            "[1,]",
            "[1 2]",
            "[",
            "]",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            "{a:1}",
            r#"{"a":1,}"#,
            "\"",
            "\"\n\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\u0041""#,
            "1 1",
            "'a'",
        ] {
            assert_eq!(Value::parse(text), None, "{text}");
            assert_as_serde_json(text);
        }
    }

    #[test]
    fn texts_put_together_at_random_are_read_as_serde_json_reads_them() {
        const PARTS: [&str; 24] = [
            "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\\", "\\u00", "41", "\\ud83d", "\\ude00",
            "0", "12", "-", ".", "e", "+", "null", "true", " ", "ü", "\"b\":",
        ];
        let mut rng = Rng::seeded(11);
        for _ in 0..50_000 {
            let text: String = (0..=rng.below(10))
                .map(|_| PARTS[rng.below(PARTS.len() as u32) as usize])
                .collect();
            assert_as_serde_json(&text);
        }
    }

    #[test]
    fn nesting_ends_at_thirty_two() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(Value::parse(&nested(32)).is_some());
        assert_eq!(Value::parse(&nested(33)), None);
        assert_eq!(Value::parse(&"[".repeat(60_000)), None);
    }

    #[test]
    fn a_value_taken_leaves_null() {
        let mut value = Value::parse(r#"{"a":[1],"b":2}"#).expect("an object");
        assert_eq!(value.take("a"), Some(Value::Array(vec![Value::Whole(1)])));
        assert!(value.get("a").is_some_and(Value::is_null));
        assert_eq!(value.get("b").and_then(Value::as_f64), Some(2.0));
        assert_eq!(value.take("c"), None);
    }
}
