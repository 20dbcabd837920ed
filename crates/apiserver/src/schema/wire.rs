//! The protobuf wire format: numbers and tokens out of bytes, bounds checked. It knows no messages.

use super::DecodeError;

/// Reads the fields of one message in order.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// The value of one field.
#[derive(Clone, Copy)]
pub(super) enum Token<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire types 1 and 5, which no served type uses.
    Fixed,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and value; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Token<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| wrong("a field number is out of range"))?;
        if number == 0 {
            return Err(wrong("a field has the number 0"));
        }
        let token = match tag & 7 {
            0 => Token::Varint(self.varint()?),
            1 => self.take(8).map(|_| Token::Fixed)?,
            2 => {
                let length =
                    usize::try_from(self.varint()?).map_err(|_| wrong("a length is out of range"))?;
                Token::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Token::Fixed)?,
            other => return Err(wrong(&format!("the wire type {other} is not known"))),
        };
        Ok(Some((number, token)))
    }

    /// The next of several packed numbers; none at the end.
    pub(super) fn packed(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.rest.is_empty() { Ok(None) } else { self.varint().map(Some) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| wrong("unexpected EOF"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(wrong("integer overflow"))
    }
}

impl<'a> Token<'a> {
    /// The number of a number.
    pub(super) fn varint(self) -> Result<u64, DecodeError> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(wrong("a number has the wrong wire type")),
        }
    }
    /// The bytes of text, bytes or a message.
    pub(super) fn bytes(self) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(wrong("text or a message has the wrong wire type")),
        }
    }
    /// The bytes as text.
    pub(super) fn text(self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| wrong("a text is not UTF-8"))
    }
}

fn wrong(what: &str) -> DecodeError {
    DecodeError(format!("cannot decode the protobuf body: {what}"))
}
