//! The key that signs tokens, and the form of a token: a JWT (RFC 7519) signed with Ed25519 (RFC 8037).
//!
//! One algorithm, chosen here and not by the token. Knows nothing of what the claims mean.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

/// Bytes of a token that are looked at; longer ones are none of ours.
const LONGEST: usize = 16 << 10;

/// The key that signs tokens. It has no `Debug`: it is never printed.
pub(super) struct Keys {
    pair: Ed25519KeyPair,
    /// The head of every token.
    head: String,
}

/// Why a token is not ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Unsigned {
    /// It has not the form of a token.
    #[error("the token is malformed")]
    Malformed,
    /// Another key signed it, or it was changed.
    #[error("the token's signature is not valid")]
    Signature,
}

impl Keys {
    /// The key of a seed: 32 random bytes that are kept secret. None if the library refuses it.
    pub(super) fn of(seed: &[u8; 32]) -> Option<Keys> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let id = BASE64.encode(&pair.public_key().as_ref()[..12]);
        let head = BASE64.encode(json!({"alg": "EdDSA", "kid": id}).to_string());
        Some(Keys { pair, head })
    }

    /// A token that says `claims`.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let text = format!("{}.{}", self.head, BASE64.encode(claims.to_string()));
        let signature = BASE64.encode(self.pair.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }

    /// What a token says, if this key signed it. The head must be ours to the letter: no token chooses how it is checked.
    pub(super) fn verify(&self, token: &str) -> Result<Value, Unsigned> {
        if token.len() > LONGEST {
            return Err(Unsigned::Malformed);
        }
        let (text, signature) = token.rsplit_once('.').ok_or(Unsigned::Malformed)?;
        let (head, claims) = text.split_once('.').ok_or(Unsigned::Malformed)?;
        let signature = BASE64.decode(signature).map_err(|_| Unsigned::Malformed)?;
        let claims = BASE64.decode(claims).map_err(|_| Unsigned::Malformed)?;
        let public = UnparsedPublicKey::new(&ED25519, self.pair.public_key().as_ref());
        if head != self.head || public.verify(text.as_bytes(), &signature).is_err() {
            return Err(Unsigned::Signature);
        }
        serde_json::from_slice(&claims).map_err(|_| Unsigned::Malformed)
    }
}
