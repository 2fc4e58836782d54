//! From what serde describes to text.

use alloc::string::String;
use core::fmt::{self, Display};
use serde::Serialize;
use serde::ser::{
    self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

/// `value` as JSON. Fractions are given to the thousandth; what is no number is `null`.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> String {
    let mut writer = Writer(String::new());
    match value.serialize(&mut writer) {
        Ok(()) => writer.0,
        Err(never) => match never {},
    }
}

struct Writer(String);

/// Nothing can go wrong here, and that it cannot is a third of the code that uses this.
#[derive(Debug)]
enum Never {}

impl Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl core::error::Error for Never {}

impl ser::Error for Never {
    fn custom<T: Display>(message: T) -> Self {
        unreachable!("what we write has no errors of its own: {message}")
    }
}

type Done = Result<(), Never>;

impl Writer {
    fn put(&mut self, text: &str) -> Done {
        self.0.push_str(text);
        Ok(())
    }

    fn string(&mut self, text: &str) -> Done {
        self.0.push('"');
        let mut rest = text;
        while let Some(end) = rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\x1f')) {
            self.0.push_str(&rest[..end]);
            self.escape(rest.as_bytes()[end]);
            rest = &rest[end + 1..];
        }
        self.0.push_str(rest);
        self.put("\"")
    }

    fn escape(&mut self, byte: u8) {
        self.0.push('\\');
        match byte {
            b'\n' => self.0.push('n'),
            b'\r' => self.0.push('r'),
            b'"' | b'\\' => self.0.push(char::from(byte)),
            _ => {
                let hex = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
                self.0.push_str("u00");
                self.0.push(hex(byte >> 4));
                self.0.push(hex(byte & 15));
            }
        }
    }

    fn whole(&mut self, mut number: u64) -> Done {
        // As many digits as `u64::MAX` has.
        let mut digits = [b'0'; 20];
        let mut first = digits.len() - 1;
        loop {
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
            first -= 1;
        }
        digits[first..]
            .iter()
            .for_each(|digit| self.0.push(char::from(*digit)));
        Ok(())
    }

    fn signed(&mut self, number: i64) -> Done {
        if number < 0 {
            self.0.push('-');
        }
        self.whole(number.unsigned_abs())
    }

    fn float(&mut self, number: f64) -> Done {
        if !number.is_finite() {
            return self.put("null");
        }
        if number < 0.0 {
            self.0.push('-');
        }
        let size = number.abs();
        let whole = size as u64;
        // What is larger than a whole number can be comes out as the largest.
        let fraction = (size - whole as f64).min(1.0);
        let (whole, thousandths) = match (fraction * 1000.0 + 0.5) as u64 {
            1000 => (whole.saturating_add(1), 0),
            thousandths => (whole, thousandths),
        };
        self.whole(whole)?;
        if thousandths == 0 {
            return Ok(());
        }
        self.0.push('.');
        for place in [100, 10, 1] {
            self.0
                .push(char::from(b'0' + (thousandths / place % 10) as u8));
        }
        Ok(())
    }

    /// A comma, unless a bracket has just been opened.
    fn next(&mut self) {
        if !self.0.ends_with(['[', '{']) {
            self.0.push(',');
        }
    }

    fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Done {
        self.next();
        value.serialize(self)
    }

    fn field(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Done {
        self.next();
        self.string(name)?;
        self.0.push(':');
        value.serialize(self)
    }

    fn open(&mut self, bracket: &str, end: &'static str) -> Result<Open<'_>, Never> {
        self.put(bracket)?;
        Ok(Open { writer: self, end })
    }

    /// The same, under a variant's name.
    fn open_variant(
        &mut self,
        variant: &str,
        bracket: &str,
        end: &'static str,
    ) -> Result<Open<'_>, Never> {
        self.put("{")?;
        self.string(variant)?;
        self.put(":")?;
        self.open(bracket, end)
    }
}

/// What is open: values, or what a variant's name stands before. Ends with `end`.
struct Open<'a> {
    writer: &'a mut Writer,
    end: &'static str,
}

impl<'a> ser::Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Open<'a>;
    type SerializeTuple = Open<'a>;
    type SerializeTupleStruct = Open<'a>;
    type SerializeTupleVariant = Open<'a>;
    type SerializeMap = Open<'a>;
    type SerializeStruct = Open<'a>;
    type SerializeStructVariant = Open<'a>;

    fn serialize_bool(self, value: bool) -> Done {
        self.put(if value { "true" } else { "false" })
    }

    fn serialize_i8(self, value: i8) -> Done {
        self.signed(value.into())
    }

    fn serialize_i16(self, value: i16) -> Done {
        self.signed(value.into())
    }

    fn serialize_i32(self, value: i32) -> Done {
        self.signed(value.into())
    }

    fn serialize_i64(self, value: i64) -> Done {
        self.signed(value)
    }

    fn serialize_u8(self, value: u8) -> Done {
        self.whole(value.into())
    }

    fn serialize_u16(self, value: u16) -> Done {
        self.whole(value.into())
    }

    fn serialize_u32(self, value: u32) -> Done {
        self.whole(value.into())
    }

    fn serialize_u64(self, value: u64) -> Done {
        self.whole(value)
    }

    fn serialize_f32(self, value: f32) -> Done {
        self.float(value.into())
    }

    fn serialize_f64(self, value: f64) -> Done {
        self.float(value)
    }

    fn serialize_char(self, value: char) -> Done {
        self.string(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Done {
        self.string(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        value.serialize(self)
    }

    fn serialize_none(self) -> Done {
        self.put("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.put("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.put("null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.string(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        self.put("{")?;
        self.field(variant, value)?;
        self.put("}")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'a>, Never> {
        self.open("[", "]")
    }

    fn serialize_tuple(self, _: usize) -> Result<Open<'a>, Never> {
        self.open("[", "]")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Open<'a>, Never> {
        self.open("[", "]")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'a>, Never> {
        self.open_variant(variant, "[", "]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'a>, Never> {
        self.open("{", "}")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'a>, Never> {
        self.open("{", "}")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'a>, Never> {
        self.open_variant(variant, "{", "}}")
    }
}

/// What serde has a trait for each of, and JSON one kind: values one after the other.
macro_rules! items {
    ($($kind:ident: $add:ident),*) => {$(
        impl $kind for Open<'_> {
            type Ok = ();
            type Error = Never;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                self.writer.item(value)
            }

            fn end(self) -> Done {
                self.writer.put(self.end)
            }
        }
    )*};
}

/// The same of values that have names.
macro_rules! fields {
    ($($kind:ident),*) => {$(
        impl $kind for Open<'_> {
            type Ok = ();
            type Error = Never;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Done {
                self.writer.field(name, value)
            }

            fn end(self) -> Done {
                self.writer.put(self.end)
            }
        }
    )*};
}

items!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Never;

    /// A key that is no text comes out as it is: none of our maps has one.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.writer.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.writer.put(":")?;
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Done {
        self.writer.put(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;
    use alloc::{format, vec};

    #[derive(Serialize)]
    struct Everything {
        yes: bool,
        small: i8,
        lowest: i64,
        highest: u64,
        text: String,
        letter: char,
        none: Option<u8>,
        some: Option<u8>,
        unit: (),
        pair: (u8, String),
        rows: Vec<Vec<u8>>,
        by_name: BTreeMap<String, u32>,
        newtype: Newtype,
        kinds: [Kind; 4],
        tagged: [Tagged; 2],
    }

    #[derive(Serialize)]
    struct Newtype(u32);

    #[derive(Serialize)]
    enum Kind {
        Unit,
        Newtype(u8),
        Tuple(u8, u8),
        Struct { a: u8 },
    }

    #[derive(Serialize)]
    #[serde(tag = "kind", rename_all = "camelCase")]
    enum Tagged {
        JustThis,
        WithMore {
            #[serde(skip_serializing_if = "Option::is_none")]
            left_out: Option<u8>,
            kept: Option<u8>,
        },
    }

    #[test]
    fn all_that_serde_can_describe_is_written_as_serde_json_writes_it() {
        let everything = Everything {
            yes: true,
            small: -1,
            lowest: i64::MIN,
            highest: u64::MAX,
            text: "\u{0}\u{1f}\"\\/\n\r\u{8}ü😀\u{7f}".into(),
            letter: '"',
            none: None,
            some: Some(0),
            unit: (),
            pair: (10, "[".into()),
            rows: vec![vec![], vec![1], vec![2, 3]],
            by_name: [("{".into(), 1), ("b\"".into(), 2)].into(),
            newtype: Newtype(7),
            kinds: [
                Kind::Unit,
                Kind::Newtype(1),
                Kind::Tuple(1, 2),
                Kind::Struct { a: 1 },
            ],
            tagged: [
                Tagged::JustThis,
                Tagged::WithMore {
                    left_out: None,
                    kept: None,
                },
            ],
        };
        let theirs = serde_json::to_string(&everything).expect("it can be written");
        // The same text but for the one character that has a shorter way to be escaped.
        assert_eq!(to_string(&everything), theirs.replace("\\b", "\\u0008"));
    }

    #[test]
    fn fractions_are_written_to_the_thousandth() {
        for (number, text) in [
            (0.0, "0"),
            (1.5, "1.500"),
            (-0.25, "-0.250"),
            (0.0004, "0"),
            (0.0006, "0.001"),
            (1.9996, "2"),
            (123_456_789.125, "123456789.125"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(to_string(&number), text);
        }
        assert_eq!(to_string(&1e300), format!("{}", u64::MAX));
    }
}
