//! What was perhaps meant to be a name of the array's.

/// `{WORD}`s that are no name of the array's, but nearly: each with the name, once. What a shell expands is none.
pub fn near_misses(command: &[&str], names: &[String]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for text in command {
        for (at, _) in text.match_indices('{') {
            let is_shells = text[..at].ends_with(['$', '{']);
            let word = text[at + 1..].split_once('}').map_or("", |(word, _)| word);
            let is_word =
                !word.is_empty() && word.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
            if is_shells || !is_word || names.iter().any(|name| name == word) {
                continue;
            }
            let distance =
                |name: &String| strsim::damerau_levenshtein(&name.to_lowercase(), &word.to_lowercase());
            let nearest = names.iter().map(|name| (distance(name), name)).min();
            if let Some((_, name)) = nearest.filter(|(distance, name)| *distance <= name.len() / 3) {
                let pair = (word.to_owned(), name.clone());
                if !found.contains(&pair) {
                    found.push(pair);
                }
            }
        }
    }
    found
}
