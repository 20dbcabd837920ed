//! Finding names in the sentences of schedulers, kubelets and admission. It knows none of those sentences.

/// What stands between two words, at the first place where both are.
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

/// The quoted word behind these words. Quotes inside quotes are escaped.
pub(crate) fn quoted<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        rest = &rest[rest.find(before)? + before.len()..];
        let inner = rest.strip_prefix('\\').unwrap_or(rest);
        if let Some(inner) = inner.strip_prefix(['"', '\'']) {
            let end = inner.find(['"', '\'', '\\'])?;
            return Some(&inner[..end]);
        }
    }
}

/// Whether any of these words is in the text, whatever its case.
pub(crate) fn says(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// A sentence's end without a full stop.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim().trim_end_matches('.').trim_end()
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The number that a Kubernetes quantity stands for; to compare, not to count.
pub(crate) fn amount(quantity: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 14] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("", 1.0),
    ];
    let (number, unit) =
        UNITS.iter().find_map(|(suffix, unit)| Some((quantity.strip_suffix(suffix)?, unit)))?;
    Some(number.parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_between_words_and_in_quotes() {
        assert_eq!(between("quota: a, requested: cpu=1, used", "requested: ", ", used"), Some("cpu=1"));
        assert_eq!(between("quota: a", "quota: ", ","), None);
        assert_eq!(quoted("MountVolume failed : secret \"key\" not found", "secret "), Some("key"));
        assert_eq!(quoted("pull \\\"a:1\\\" failed", "pull "), Some("a:1"));
        assert_eq!(quoted("a secret of secret \"x\"", "secret "), Some("x"));
        assert_eq!(quoted("nothing here", "secret "), None);
    }

    #[test]
    fn quantities_compare() {
        for (text, number) in
            [("500m", 0.5), ("2", 2.0), ("1Ki", 1024.0), ("1k", 1000.0), ("1.5Gi", 1_610_612_736.0)]
        {
            assert_eq!(amount(text), Some(number), "{text}");
        }
        assert_eq!(amount("much"), None);
    }
}
