//! What the types of `oci-spec` read: a deserializer that notes the names of every struct's fields, which derived code hands to it,
//! so that no field of the types can be forgotten.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// The names that belong to a place: the fields of a struct, or the values of an enum. A place is a JSON pointer with `*`
/// for every index and every key of a map.
pub type Names = BTreeMap<String, Vec<&'static str>>;

/// What was met.
#[derive(Default)]
pub struct Met {
    /// Fields of structs.
    pub structs: RefCell<Names>,
    /// Values of enums.
    pub enums: RefCell<Names>,
}

/// Reads `document` as a `T` and tells what was met on the way.
pub fn met<'de, T: Deserialize<'de>>(document: &'de Value) -> Result<Met, Error> {
    let met = Met::default();
    T::deserialize(Tracer { value: document, place: String::new(), met: &met })?;
    Ok(met)
}

#[derive(Clone)]
struct Tracer<'a, 'de> {
    value: &'de Value,
    place: String,
    met: &'a Met,
}

impl<'a, 'de> Tracer<'a, 'de> {
    fn below(&self, key: &str, value: &'de Value) -> Tracer<'a, 'de> {
        Tracer { value, place: format!("{}/{key}", self.place), met: self.met }
    }

    fn map<V: Visitor<'de>>(&self, visitor: V, of: impl Fn(&'de str) -> &'de str) -> Result<V::Value, Error> {
        let map = self.value.as_object().into_iter().flatten();
        visitor.visit_map(MapDeserializer::new(
            map.map(|(key, value)| (key.as_str(), self.below(of(key), value))),
        ))
    }
}

impl<'de> IntoDeserializer<'de, Error> for Tracer<'_, 'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Tracer<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match number.as_u64() {
                Some(number) => visitor.visit_u64(number),
                None => visitor.visit_i64(number.as_i64().unwrap_or_default()),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.iter().map(|item| self.below("*", item))))
            }
            Value::Object(_) => self.map(visitor, |_| "*"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.met.structs.borrow_mut().insert(self.place.clone(), fields.to_vec());
        self.map(visitor, |key| key)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.met.enums.borrow_mut().insert(self.place.clone(), variants.to_vec());
        visitor.visit_enum(self.value.as_str().unwrap_or_default().into_deserializer())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// The places that hold a value: fields of structs that hold no struct themselves.
pub fn leaves(structs: &Names) -> Vec<String> {
    let holds_structs =
        |place: &str| structs.contains_key(place) || structs.contains_key(&format!("{place}/*"));
    let fields =
        structs.iter().flat_map(|(place, names)| names.iter().map(move |name| format!("{place}/{name}")));
    let mut leaves: Vec<String> = fields.filter(|place| !holds_structs(place)).collect();
    leaves.sort();
    leaves
}
