//! What a message of a client says: its first byte names the channel, the rest is the channel's. Pure.
//!
//! Source: `apimachinery/pkg/util/remotecommand/constants.go`, client-go `remotecommand`.

use serde::Deserialize;

use super::handshake::Protocol;

/// The channel of what a client writes.
pub(super) const STDIN: u8 = 0;
/// The channel of the terminal's size.
const RESIZE: u8 = 4;
/// Followed by the channel that its sender has ended.
const CLOSE: u8 = 255;

/// What a message says.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Said<'a> {
    /// This is for the stdin.
    Stdin(&'a [u8]),
    /// The stdin is over.
    StdinEnds,
    /// The terminal has this size, in characters.
    Size {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// Nothing that is understood: it is passed over, as upstream does.
    Nothing,
}

/// Reads a message.
pub(super) fn read(message: &[u8], protocol: Protocol) -> Said<'_> {
    match message.split_first() {
        Some((&STDIN, bytes)) => Said::Stdin(bytes),
        Some((&RESIZE, bytes)) => match serde_json::from_slice::<Size>(bytes) {
            Ok(Size { width, height }) => Said::Size { width, height },
            Err(_) => Said::Nothing,
        },
        Some((&CLOSE, &[STDIN])) if protocol == Protocol::V5 => Said::StdinEnds,
        _ => Said::Nothing,
    }
}

/// `TerminalSize` of client-go.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

/// What a message says to one that speaks version 5, and to one that speaks version 4.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn both(message: &[u8]) -> [Said<'_>; 2] {
    [read(message, Protocol::V5), read(message, Protocol::V4)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_told_apart_by_the_first_byte() {
        let check = |message: &[u8], v5: Said<'_>, v4: Said<'_>| assert_eq!(both(message), [v5, v4]);
        check(b"\x00text", Said::Stdin(b"text"), Said::Stdin(b"text"));
        check(b"\x00", Said::Stdin(b""), Said::Stdin(b""));
        let size = || Said::Size { width: 80, height: 24 };
        check(b"\x04{\"Width\":80,\"Height\":24}", size(), size());
        check(b"\xff\x00", Said::StdinEnds, Said::Nothing);
        for nothing in
            [&b""[..], b"\x01x", b"\x04{\"Width\":-1,\"Height\":24}", b"\xff", b"\xff\x01", b"\xff\x00\x00"]
        {
            check(nothing, Said::Nothing, Said::Nothing);
        }
    }
}
