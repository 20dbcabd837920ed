//! Decodes Kubernetes' protobuf bodies into the JSON objects that they stand for.
//!
//! Go writes every field that is no pointer, zero or not; what JSON would leave out is therefore left out here by the
//! same rule that [`super::fit`] uses, and a pointer that is there stays, zero or not.

use serde_json::{Map, Value};

use super::fit::omitted;
use super::parse::DEPTH;
use super::table::{Field, Scalar, Shape, Slot, Type, Wire, table};
use super::wire::{Reader, Token};
use super::{DecodeError, scalar};

/// What every protobuf body of Kubernetes starts with.
const MAGIC: &[u8] = b"k8s\0";

/// Decodes a body, see [`super::parse_protobuf`].
pub(super) fn parse(body: &[u8]) -> Result<Value, DecodeError> {
    let envelope = Envelope::read(body)?;
    let (api_version, kind) = (envelope.api_version, envelope.kind);
    let Some(shape) = table().by_kind(api_version, kind) else {
        return Err(DecodeError(format!(
            "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme"
        )));
    };
    let mut object = message(shape, envelope.raw, 0)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(object.into())
}

/// `runtime.Unknown`: the names of what is inside, and its bytes.
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(body: &'a [u8]) -> Result<Self, DecodeError> {
        let Some(rest) = body.strip_prefix(MAGIC) else {
            return Err(DecodeError(
                "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
                    .to_owned(),
            ));
        };
        let mut envelope = Self { api_version: "", kind: "", raw: &[] };
        let mut reader = Reader::new(rest);
        while let Some((number, token)) = reader.next()? {
            match number {
                1 => {
                    let mut names = Reader::new(token.bytes()?);
                    while let Some((number, token)) = names.next()? {
                        match number {
                            1 => envelope.api_version = token.text()?,
                            2 => envelope.kind = token.text()?,
                            _ => {}
                        }
                    }
                }
                2 => envelope.raw = token.bytes()?,
                3 if !token.bytes()?.is_empty() => {
                    return Err(DecodeError(format!(
                        "the content encoding \"{}\" is not known",
                        token.text()?
                    )));
                }
                _ => {}
            }
        }
        Ok(envelope)
    }
}

/// A message as the object of its type.
fn message(shape: &'static Type, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, DecodeError> {
    let mut object = Map::new();
    fields(shape, &shape.wire, bytes, &mut object, depth)?;
    for field in &shape.fields {
        if object.get(field.json).is_some_and(|value| omitted(field, value)) {
            object.remove(field.json);
        }
    }
    Ok(object)
}

fn fields(
    shape: &'static Type,
    wire: &'static Wire,
    bytes: &[u8],
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), DecodeError> {
    if depth > DEPTH {
        return Err(DecodeError(format!("the body nests deeper than {DEPTH} levels")));
    }
    let mut reader = Reader::new(bytes);
    while let Some((number, token)) = reader.next()? {
        match wire.get(number) {
            None => {}
            Some(Slot::Embedded(inner)) => fields(shape, inner, token.bytes()?, object, depth + 1)?,
            Some(Slot::Field(place)) => field(&shape.fields[*place], token, object, depth + 1)?,
        }
    }
    Ok(())
}

/// One occurrence of a field: lists and maps grow by it, everything else is replaced.
fn field(
    field: &'static Field,
    token: Token<'_>,
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), DecodeError> {
    match &field.shape {
        Shape::List(inner) => {
            let list = object.entry(field.json).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                items(inner, token, list, depth)?;
            }
        }
        Shape::Map(inner) => {
            let (key, value) = entry(inner, token.bytes()?, depth)?;
            let map = object.entry(field.json).or_insert_with(|| Map::new().into());
            if let Value::Object(map) = map {
                map.insert(key, value);
            }
        }
        shape => {
            let value = single(shape, token, depth)?;
            object.insert(field.json.to_owned(), value);
        }
    }
    Ok(())
}

/// The items of one occurrence of a list: one, or several numbers packed.
fn items(
    inner: &'static Shape,
    token: Token<'_>,
    list: &mut Vec<Value>,
    depth: usize,
) -> Result<(), DecodeError> {
    match (inner, token) {
        (Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Bool, _), Token::Bytes(packed)) => {
            let mut reader = Reader::new(packed);
            while let Some(number) = reader.packed()? {
                list.push(single(inner, Token::Varint(number), depth)?);
            }
        }
        (_, token) => list.push(single(inner, token, depth)?),
    }
    Ok(())
}

/// A map's entry: a message of key and value.
fn entry(inner: &'static Shape, bytes: &[u8], depth: usize) -> Result<(String, Value), DecodeError> {
    let mut key = String::new();
    let mut value = None;
    let mut reader = Reader::new(bytes);
    while let Some((number, token)) = reader.next()? {
        match number {
            1 => key = token.text()?.to_owned(),
            2 => value = Some(single(inner, token, depth)?),
            _ => {}
        }
    }
    let value = match value {
        Some(value) => value,
        None => single(inner, Token::Bytes(&[]), depth)?,
    };
    Ok((key, value))
}

/// A value that is neither list nor map; `Null` for what is there but says nothing (a zero time).
fn single(shape: &'static Shape, token: Token<'_>, depth: usize) -> Result<Value, DecodeError> {
    let kind = match shape {
        Shape::Ref(to) => return reference(table().get(*to), token.bytes()?, depth),
        // No type of the table nests lists or maps directly.
        Shape::List(_) | Shape::Map(_) => {
            return Err(DecodeError("a list of lists has no wire form".to_owned()));
        }
        Shape::Scalar(kind, _) => kind,
    };
    Ok(match kind {
        Scalar::String => token.text()?.into(),
        Scalar::Bool => (token.varint()? != 0).into(),
        // Go takes the low bits of a varint, sign included.
        Scalar::Int32 => (token.varint()? as i32).into(),
        Scalar::Int64 => (token.varint()? as i64).into(),
        Scalar::Bytes => scalar::base64(token.bytes()?).into(),
        Scalar::Time => time(token.bytes()?, false)?,
        Scalar::MicroTime => time(token.bytes()?, true)?,
        Scalar::Quantity => quantity(token.bytes()?)?,
        Scalar::IntOrString => int_or_string(token.bytes()?)?,
        Scalar::Raw | Scalar::Fields => raw(token.bytes()?)?,
    })
}

fn reference(shape: &'static Type, bytes: &[u8], depth: usize) -> Result<Value, DecodeError> {
    let Some(Shape::List(inner)) = &shape.wrapped else { return Ok(message(shape, bytes, depth)?.into()) };
    let mut list = Vec::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, token)) = reader.next()? {
        if number == 1 {
            items(inner, token, &mut list, depth)?;
        }
    }
    Ok(list.into())
}

/// `Time` and `MicroTime`: seconds and nanoseconds since 1970; an empty message is the zero time.
fn time(bytes: &[u8], micro: bool) -> Result<Value, DecodeError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    let mut reader = Reader::new(bytes);
    while let Some((number, token)) = reader.next()? {
        match number {
            1 => seconds = token.varint()? as i64,
            2 => nanos = token.varint()? as i32,
            _ => {}
        }
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|_| {
        DecodeError(format!("a time of {seconds} seconds and {nanos} nanoseconds is out of range"))
    })?;
    Ok(scalar::format_time(time, micro))
}

fn quantity(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut text = "";
    let mut reader = Reader::new(bytes);
    while let Some((number, token)) = reader.next()? {
        if number == 1 {
            text = token.text()?;
        }
    }
    Ok(if text.is_empty() { "0".into() } else { crate::quantity::canonical(text)?.into() })
}

fn int_or_string(bytes: &[u8]) -> Result<Value, DecodeError> {
    let (mut is_text, mut number_value, mut text) = (false, 0_i32, "");
    let mut reader = Reader::new(bytes);
    while let Some((number, token)) = reader.next()? {
        match number {
            1 => is_text = token.varint()? != 0,
            2 => number_value = token.varint()? as i32,
            3 => text = token.text()?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number_value.into() })
}

/// `RawExtension` and `FieldsV1`: JSON in field 1.
fn raw(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut inner: &[u8] = &[];
    let mut reader = Reader::new(bytes);
    while let Some((number, token)) = reader.next()? {
        if number == 1 {
            inner = token.bytes()?;
        }
    }
    if inner.is_empty() {
        return Ok(Value::Null);
    }
    Ok(super::parse::parse(inner, false)?.object)
}
