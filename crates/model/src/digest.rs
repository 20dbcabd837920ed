//! Digests of content: what tells one submission's content from another's.

use sha2::{Digest, Sha256};

/// The first 128 bits of SHA-256 in hexadecimal: 32 characters, a valid label value.
pub fn short(content: &[u8]) -> String {
    let full = Sha256::digest(content);
    full.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
