//! Until when a context's credentials are good, as far as they say it themselves: a token that is a JWT (RFC 7519), a
//! client certificate (RFC 5280). Nothing is verified: that is the server's affair.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{ConnectError, Source, choose, read};

/// What somebody shows to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// What it is, in words: `a token`, `a client certificate`, `what `aws eks get-token` gives`.
    pub kind: String,
    /// Until when it is good; `None`: it does not say.
    pub expires: Option<Timestamp>,
}

/// The credentials of a source's context. Files that it names are read; a plugin is not run.
///
/// # Errors
/// `Kubeconfig`, `NoContext`.
pub fn credentials(source: &Source) -> Result<Credentials, ConnectError> {
    let (kubeconfig, place, wanted) = read(source)?;
    let name = choose(&kubeconfig, &place, wanted)?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == name);
    let user = context.and_then(|context| context.context.as_ref()?.user.clone()).unwrap_or_default();
    let auth = kubeconfig.auth_infos.iter().find(|auth| auth.name == user);
    // Secrets are written out by it, and go no further than this function.
    let auth = auth.and_then(|auth| serde_json::to_value(auth.auth_info.as_ref()?).ok()).unwrap_or_default();
    let text = |field: &str| auth[field].as_str().filter(|text| !text.is_empty());
    let said = |kind: &str, expires| Ok(Credentials { kind: kind.to_owned(), expires });
    if let Some(command) = auth["exec"]["command"].as_str() {
        return said(&format!("what `{command}` gives"), None);
    }
    if let Some(token) = text("token") {
        return said("a token", of_token(token));
    }
    if let Some(file) = text("tokenFile") {
        let token = std::fs::read_to_string(file).unwrap_or_default();
        return said(&format!("the token in {file}"), of_token(token.trim()));
    }
    let pem = match (text("client-certificate-data"), text("client-certificate")) {
        (Some(data), _) => STANDARD.decode(data).ok(),
        (_, Some(file)) => std::fs::read(file).ok(),
        _ => return said("none that say when they end", None),
    };
    said("a client certificate", pem.as_deref().and_then(of_pem))
}

/// The claim `exp` of a JWT.
pub(crate) fn of_token(token: &str) -> Option<Timestamp> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Timestamp::from_second(claims["exp"].as_i64()?).ok()
}

/// `notAfter` of the first certificate.
pub(crate) fn of_pem(pem: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END")?;
    let body: String = body.split_whitespace().collect();
    not_after(&STANDARD.decode(body).ok()?)
}

/// The end of a certificate's validity: certificate, the part that is signed, then its fields in their order.
fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = item(der)?;
    let (_, signed, _) = item(certificate)?;
    let mut rest = signed;
    let (tag, _, after) = item(rest)?;
    // The version may be left out.
    if tag == 0xa0 {
        rest = after;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        (_, _, rest) = item(rest)?;
    }
    let (_, validity, _) = item(rest)?;
    let (_, _, end) = item(validity)?;
    let (tag, time, _) = item(end)?;
    moment(tag, std::str::from_utf8(time).ok()?)
}

/// The first value of a DER encoding (X.690): its tag, its content, and what follows.
fn item(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// `UTCTime` has two digits of the year, of 1950 to 2049; `GeneralizedTime` four.
fn moment(tag: u8, text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    let full = match tag {
        0x17 if digits.starts_with(['5', '6', '7', '8', '9']) => format!("19{digits}"),
        0x17 => format!("20{digits}"),
        0x18 => digits.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%S", full).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str) -> Credentials {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: lab\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n\
             users: [{{name: u, user: {user}}}]\ncontexts: [{{name: lab, context: {{cluster: c, user: u}}}}]\n"
        );
        credentials(&Source::Yaml { text, context: None }).unwrap()
    }

    #[test]
    fn a_token_tells_its_end_if_it_is_a_jwt() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"me","exp":1767225600}"#);
        let jwt = of(&format!("{{token: a.{claims}.c}}"));
        assert_eq!(jwt.expires, Some("2026-01-01T00:00:00Z".parse().unwrap()));
        for other in ["secret", "a.b.c", "a.e30.c"] {
            assert_eq!(
                of(&format!("{{token: {other}}}")),
                Credentials { kind: "a token".into(), expires: None }
            );
        }
    }

    #[test]
    fn a_certificate_tells_its_end() {
        // Just as much of one as is read: a serial number, an empty algorithm and issuer, and the validity.
        let validity = |end: &[u8]| {
            let mut times = vec![0x17, 13];
            times.extend(b"250101000000Z");
            times.extend(end);
            let mut signed =
                vec![0xa0, 3, 2, 1, 2, 2, 1, 7, 0x30, 0, 0x30, 0, 0x30, u8::try_from(times.len()).unwrap()];
            signed.extend(times);
            let mut certificate = vec![0x30, 0x81, u8::try_from(signed.len()).unwrap()];
            certificate.extend(signed);
            let mut all = vec![0x30, 0x82, 0, u8::try_from(certificate.len()).unwrap()];
            all.extend(certificate);
            not_after(&all)
        };
        let utc = [&[0x17, 13][..], b"260101000000Z"].concat();
        assert_eq!(validity(&utc), Some("2026-01-01T00:00:00Z".parse().unwrap()));
        let general = [&[0x18, 15][..], b"20990101000000Z"].concat();
        assert_eq!(validity(&general), Some("2099-01-01T00:00:00Z".parse().unwrap()));
        for broken in [&b""[..], &[0x30], &[0x30, 0x84, 1], &[0x30, 5, 1]] {
            assert_eq!(not_after(broken), None);
        }
    }

    #[test]
    fn a_plugin_is_named_and_not_run() {
        let plugin = of(
            "{exec: {apiVersion: client.authentication.k8s.io/v1, command: /no/such/plugin, interactiveMode: Never}}",
        );
        assert_eq!(plugin.kind, "what `/no/such/plugin` gives");
        assert_eq!(of("{}").expires, None);
    }
}
