// SPDX-License-Identifier: MIT OR Apache-2.0
//! A serde serializer that writes one record as TOML lines: `key = value` for each field, values inline.
//!
//! It writes as it goes and builds no tree. What TOML has no word for (null, a key that is no text) is an error; the
//! records skip absent fields themselves.

use std::fmt::Write as _;

use serde::ser::{self, Serialize};

use super::{is_block, write_block, write_key, write_string};

/// Longest list of tables that stays on one line, in elements.
const TABLES_IN_LINE_MAX: usize = 1;

#[derive(Debug)]
pub(super) struct Unwritable(String);

impl std::fmt::Display for Unwritable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Written = Result<(), Unwritable>;

/// Writes the fields of a record, one on each line.
pub(super) fn lines<T: Serialize>(out: &mut String, record: &T) -> Written {
    record.serialize(Writer { out, form: Form::Lines })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The record itself: its fields are lines.
    Lines,
    /// The value of a field on a line of its own; long lists and texts may take several lines.
    Field,
    /// Inside another value.
    Inline,
}

struct Writer<'a> {
    out: &'a mut String,
    form: Form,
}

/// A table or list under way.
struct Nested<'a> {
    out: &'a mut String,
    form: Form,
    first: bool,
    /// Written after the last element.
    closing: &'static str,
    /// Elements on lines of their own.
    spread: bool,
}

impl<'a> Nested<'a> {
    fn table(Writer { out, form }: Writer<'a>) -> Self {
        let lines = form == Form::Lines;
        if !lines {
            out.push('{');
        }
        let closing = if lines { "" } else { " }" };
        Self { out, form, first: true, closing, spread: false }
    }

    fn key(&mut self, key: &str) {
        if self.form != Form::Lines {
            self.out.push_str(if self.first { " " } else { ", " });
        }
        self.first = false;
        write_key(self.out, key);
        self.out.push_str(" = ");
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        let lines = self.form == Form::Lines;
        let form = if lines { Form::Field } else { Form::Inline };
        value.serialize(Writer { out: self.out, form })?;
        if lines {
            self.out.push('\n');
        }
        Ok(())
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        if self.spread {
            self.out.push_str("\n  ");
        } else if !self.first {
            self.out.push_str(", ");
        }
        self.first = false;
        value.serialize(Writer { out: self.out, form: Form::Inline })?;
        if self.spread {
            self.out.push(',');
        }
        Ok(())
    }

    fn end_table(self) {
        if self.first && self.form != Form::Lines {
            self.out.push('}');
        } else {
            self.out.push_str(self.closing);
        }
    }
}

fn no<T>(what: &str) -> Result<T, Unwritable> {
    Err(Unwritable(format!("{what} has no form in TOML")))
}

impl<'a> Writer<'a> {
    fn number(self, number: impl std::fmt::Display) -> Written {
        write!(self.out, "{number}").map_err(ser::Error::custom)
    }

    /// `{ variant = …` up to the value.
    fn variant(self, variant: &str) -> Nested<'a> {
        let mut nested = Nested::table(self);
        nested.key(variant);
        nested
    }
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Nested<'a>;
    type SerializeTuple = Nested<'a>;
    type SerializeTupleStruct = Nested<'a>;
    type SerializeTupleVariant = ser::Impossible<(), Unwritable>;
    type SerializeMap = Nested<'a>;
    type SerializeStruct = Nested<'a>;
    type SerializeStructVariant = ser::Impossible<(), Unwritable>;

    fn serialize_bool(self, value: bool) -> Written {
        self.number(value)
    }

    fn serialize_i8(self, value: i8) -> Written {
        self.number(value)
    }

    fn serialize_i16(self, value: i16) -> Written {
        self.number(value)
    }

    fn serialize_i32(self, value: i32) -> Written {
        self.number(value)
    }

    fn serialize_i64(self, value: i64) -> Written {
        self.number(value)
    }

    fn serialize_u8(self, value: u8) -> Written {
        self.number(value)
    }

    fn serialize_u16(self, value: u16) -> Written {
        self.number(value)
    }

    fn serialize_u32(self, value: u32) -> Written {
        self.number(value)
    }

    fn serialize_u64(self, value: u64) -> Written {
        self.number(value)
    }

    fn serialize_f32(self, value: f32) -> Written {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Written {
        // Debug keeps the point that TOML asks for.
        if value.is_finite() { self.number(format_args!("{value:?}")) } else { no("infinity") }
    }

    fn serialize_char(self, value: char) -> Written {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Written {
        if self.form == Form::Field && is_block(value) {
            write_block(self.out, value);
        } else {
            write_string(self.out, value);
        }
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Written {
        no("a byte string")
    }

    fn serialize_none(self) -> Written {
        no("nothing")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        no("nothing")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        no("nothing")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        let mut nested = self.variant(variant);
        nested.value(value)?;
        nested.end_table();
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Nested<'a>, Unwritable> {
        // Only a list of tables is ever spread; what kind of list it is shows with its first element, so a long list
        // of texts is spread as well.
        let spread = self.form == Form::Field && len.is_some_and(|len| len > TABLES_IN_LINE_MAX * 8);
        self.out.push('[');
        Ok(Nested { out: self.out, form: Form::Inline, first: true, closing: "]", spread })
    }

    fn serialize_tuple(self, len: usize) -> Result<Nested<'a>, Unwritable> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Nested<'a>, Unwritable> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unwritable> {
        no("a tuple variant")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Nested<'a>, Unwritable> {
        Ok(Nested::table(self))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Nested<'a>, Unwritable> {
        Ok(Nested::table(self))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unwritable> {
        no("a struct variant")
    }
}

impl ser::SerializeSeq for Nested<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.element(value)
    }

    fn end(self) -> Written {
        if self.spread {
            self.out.push('\n');
        }
        self.out.push_str(self.closing);
        Ok(())
    }
}

impl ser::SerializeTuple for Nested<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.element(value)
    }

    fn end(self) -> Written {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleStruct for Nested<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.element(value)
    }

    fn end(self) -> Written {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeMap for Nested<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        // A key is written as a value first, to be told what text it is.
        let mut text = String::new();
        key.serialize(Writer { out: &mut text, form: Form::Inline })?;
        let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let inner = inner.ok_or_else(|| Unwritable("a key that is no text has no form in TOML".to_owned()))?;
        if self.form != Form::Lines {
            self.out.push_str(if self.first { " " } else { ", " });
        }
        self.first = false;
        // Escaped already: bare if it may be, else as it was written.
        self.out.push_str(if crate::parse::place::is_bare(inner) { inner } else { &text });
        self.out.push_str(" = ");
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.value(value)
    }

    fn end(self) -> Written {
        self.end_table();
        Ok(())
    }
}

impl ser::SerializeStruct for Nested<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        self.key(key);
        self.value(value)
    }

    fn end(self) -> Written {
        self.end_table();
        Ok(())
    }
}
