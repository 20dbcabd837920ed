//! Digests of content: what tells one submission's content from another's.

use sha2::{Digest, Sha256};

/// SHA-256.
pub fn bytes(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// The first 128 bits of SHA-256 in hexadecimal: 32 characters, a valid label value.
pub fn short(content: &[u8]) -> String {
    hex(&bytes(content)[..16])
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
