//! What a request asks, read once: query parameters, and the shape of answer that its `Accept` header wants.

use std::num::{IntErrorKind, ParseIntError};

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::error::ApiError;

/// The query's parameters in order; names may repeat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string (`application/x-www-form-urlencoded`).
    pub(crate) fn parse(text: &str) -> Query {
        let decode =
            |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Query(pairs.collect())
    }

    /// All of them.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first value of a parameter, empty or not.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first value of a parameter for which an empty one is none, as for all that are texts without a pointer
    /// upstream.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|v| !v.is_empty())
    }

    /// All values of a parameter, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A parameter's value, or the empty text.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A boolean: true unless it says `false` or `0`, as upstream converts queries.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        Ok(self.first(name).map(|value| value != "0" && !value.eq_ignore_ascii_case("false")))
    }

    /// Whether a boolean is there and true.
    pub(crate) fn is(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.flag(name)?.unwrap_or(false))
    }

    /// A whole number; an empty text is none.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|error: ParseIntError| {
                let cause = match error.kind() {
                    IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: {cause}"))
            })
        };
        self.first(name).map(parse).transpose()
    }
}

/// 400 if a query's `timeout` is no duration of Go. Requests here take no such time that it would have to be kept.
///
/// Source: upstream apiserver, `endpoints/filters/request_deadline.go` (`parseTimeout`).
pub(crate) fn check_timeout(query: &Query) -> Result<(), ApiError> {
    let Some(text) = query.get("timeout") else { return Ok(()) };
    let refuse =
        |cause| ApiError::bad_request(format!("invalid timeout specified in the request URL - {cause}"));
    windlass_schedule::nanoseconds(text).map(drop).map_err(refuse)
}

/// The shape in which objects are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// As they are.
    Object,
    /// As a Table of `meta.k8s.io` in this version.
    Table(&'static str),
    /// Their metadata alone, in this version of `meta.k8s.io`.
    Metadata(&'static str),
}

/// The first shape of the `Accept` header that can be served; 406 if there is none.
pub(crate) fn accepted(headers: &HeaderMap) -> Result<Shape, ApiError> {
    let Some(accept) = headers.get(http::header::ACCEPT).and_then(|v| v.to_str().ok()) else {
        return Ok(Shape::Object);
    };
    if accept.trim().is_empty() {
        return Ok(Shape::Object);
    }
    accept.split(',').find_map(shape).ok_or_else(|| not_acceptable(accept))
}

/// Whether the first form that can be served is YAML.
pub(crate) fn wants_yaml(headers: &HeaderMap) -> bool {
    let accept = headers.get(http::header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let first = accept.split(',').find(|clause| shape(clause).is_some());
    first.is_some_and(|clause| media(clause).0 == "application/yaml")
}

fn shape(clause: &str) -> Option<Shape> {
    let (media, parameters) = media(clause);
    if !matches!(media.as_str(), "application/json" | "application/yaml" | "application/*" | "*/*") {
        return None;
    }
    let value = |name: &str| parameters.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let Some(wanted) = value("as") else { return Some(Shape::Object) };
    let version = match (value("g"), value("v")) {
        (Some("meta.k8s.io"), Some("v1")) => "v1",
        (Some("meta.k8s.io"), Some("v1beta1")) => "v1beta1",
        _ => return None,
    };
    match wanted {
        "Table" => Some(Shape::Table(version)),
        "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(Shape::Metadata(version)),
        _ => None,
    }
}

/// A media type in lower case and its parameters.
pub(crate) fn media(clause: &str) -> (String, Vec<(&str, &str)>) {
    let mut parts = clause.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let parameters =
        parts.filter_map(|p| p.split_once('=')).map(|(n, v)| (n.trim(), v.trim().trim_matches('"')));
    (media, parameters.collect())
}

/// 406: JSON is wanted in a form that there is not, or not JSON.
fn not_acceptable(accept: &str) -> ApiError {
    if accept.split(',').any(|clause| matches!(media(clause).0.as_str(), "application/json" | "*/*")) {
        let text = "only the following media types are accepted: application/json";
        return ApiError::new(406, "NotAcceptable", text);
    }
    let text =
        "406: Not Acceptable\n\nAvailable representations: application/json, application/json;stream=watch";
    let mut error = ApiError::new(406, "NotAcceptable", text);
    error.details = Some(serde_json::json!({}));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(accept: &str) -> Result<Shape, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, accept.parse().unwrap());
        accepted(&headers).map_err(|e| e.code)
    }

    #[test]
    fn the_accept_headers_of_real_clients_are_understood() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(shape_of(kubectl), Ok(Shape::Table("v1")));
        assert_eq!(shape_of("application/vnd.kubernetes.protobuf,application/json"), Ok(Shape::Object));
        assert_eq!(shape_of("*/*"), Ok(Shape::Object));
        assert_eq!(
            shape_of("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
            Ok(Shape::Metadata("v1"))
        );
        assert_eq!(shape_of("application/vnd.kubernetes.protobuf"), Err(406));
        assert_eq!(shape_of("text/html"), Err(406));
    }

    #[test]
    fn booleans_are_read_in_every_spelling_of_go() {
        for text in ["watch=true", "watch=True", "watch=1", "watch=t", "watch"] {
            assert!(Query::parse(text).is("watch").unwrap(), "{text}");
        }
        for text in ["watch=false", "watch=0", "watch=False", "x=1", ""] {
            assert!(!Query::parse(text).is("watch").unwrap(), "{text}");
        }
        assert!(Query::parse("watch=maybe").is("watch").unwrap());
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("labelSelector=a%3Db%2Cc&x=1+2&x=3");
        assert_eq!(query.get("labelSelector"), Some("a=b,c"));
        assert_eq!(query.get("x"), Some("1 2"));
        assert_eq!(query.number("x").unwrap_err().code, 400);
    }

    #[test]
    fn a_timeout_is_a_duration_of_go() {
        let refused = |text: &str| check_timeout(&Query::parse(&format!("timeout={text}"))).err();
        for text in ["", "0", "-1s", "%2B5m", "1h30m", "1.5s", ".5s", "100ms", "5%C2%B5s"] {
            assert_eq!(refused(text), None, "{text}");
        }
        for (text, cause) in [
            ("x", "invalid duration \"x\""),
            ("5", "missing unit in duration \"5\""),
            ("1s5", "missing unit in duration \"1s5\""),
            ("5d", "unknown unit \"d\" in duration \"5d\""),
            ("-", "invalid duration \"-\""),
            (".s", "invalid duration \".s\""),
        ] {
            let begin = "invalid timeout specified in the request URL - time: ";
            assert_eq!(refused(text).unwrap().message, format!("{begin}{cause}"), "{text}");
        }
    }

    #[test]
    fn numbers_are_read_by_their_first_value_and_an_empty_one_is_none() {
        let read = |query| Query::parse(query).number("n").map_err(|error| error.message);
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("n=5&n=x"), Ok(Some(5)));
        assert_eq!(read("n=%2B5"), Ok(Some(5)));
        let refused = |text: &str, cause| Err(format!("strconv.ParseInt: parsing {text:?}: {cause}"));
        assert_eq!(read("n"), refused("", "invalid syntax"));
        assert_eq!(read("n=&n=5"), refused("", "invalid syntax"));
        assert_eq!(read("n=99999999999999999999"), refused("99999999999999999999", "value out of range"));
    }
}
