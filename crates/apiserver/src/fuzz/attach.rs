//! What clients say while they are attached, and how they ask for it.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::http::fuzz::{Said, asked, both};

/// A message means the same to both versions, but that only one lets a channel end; stdin is what was sent, to the byte;
/// a size can be written again. Whoever is let in by its headers is told its protocol and the answer to its key.
pub fn channels(data: &[u8]) {
    let [newer, older] = both(data);
    match &newer {
        Said::StdinEnds => assert_eq!((data, &older), (&[255, 0][..], &Said::Nothing)),
        same => assert_eq!(same, &older),
    }
    match newer {
        Said::Stdin(bytes) => assert_eq!(Some(bytes), data.strip_prefix(&[0])),
        Said::Size { width, height } => {
            let mut again = vec![4];
            again.extend(json!({"Width": width, "Height": height}).to_string().bytes());
            assert_eq!(both(&again)[1], Said::Size { width, height });
        }
        Said::StdinEnds | Said::Nothing => {}
    }
    match asked(&headers(data)) {
        Ok((protocol, accept)) => {
            assert!(matches!(protocol, "v4.channel.k8s.io" | "v5.channel.k8s.io"));
            assert_eq!(accept.len(), 28, "20 bytes in base64");
        }
        Err(refusal) => assert_eq!(refusal.code, 400),
    }
}

/// The lines of an input that are headers.
fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    headers
}
