//! Lists of completion indexes as text: `0,2-5`. Source: upstream pkg/apis/batch/validation/validation.go.

/// Why a list of indexes is malformed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum IndexesError {
    /// `1-2-3`.
    #[error(
        "the fragment {0:?} violates the requirement that an index interval can have at most two parts separated by '-'"
    )]
    Parts(String),
    /// Not a number.
    #[error("cannot convert string to integer for index: {0:?}")]
    Number(String),
    /// Not below the number of completions.
    #[error("too large index: {0:?}")]
    TooLarge(String),
    /// Not above the one before.
    #[error("non-increasing order, previous: {0}, current: {1}")]
    Order(i64, i64),
}

/// How many indexes a list names, all of them below `completions`.
pub(crate) fn count(list: &str, completions: i64) -> Result<i64, IndexesError> {
    let (mut total, mut last) = (0, None);
    for part in list.split(',').filter(|_| !list.is_empty()) {
        let (first, end) = interval(part, completions)?;
        if let Some(last) = last.filter(|l| *l >= first) {
            return Err(IndexesError::Order(last, first));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The lowest index of the first overlap of two lists; malformed parts are passed over.
pub(crate) fn overlap(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let read = |list: &str| -> Vec<(i64, i64)> {
        list.split(',').filter_map(|part| interval(part, completions).ok()).collect()
    };
    let (completed, failed) = (read(completed), read(failed));
    let (mut c, mut f) = (0, 0);
    while let (Some(done), Some(lost)) = (completed.get(c), failed.get(f)) {
        if done.0 <= lost.1 && lost.0 <= done.1 {
            return Some(done.0.max(lost.0));
        }
        if done.0 <= lost.0 {
            c += 1;
        } else {
            f += 1;
        }
    }
    None
}

fn interval(part: &str, completions: i64) -> Result<(i64, i64), IndexesError> {
    let ends: Vec<&str> = part.split('-').collect();
    let read = |text: &str| -> Result<i64, IndexesError> {
        let index = text.parse::<i64>().map_err(|_| IndexesError::Number(text.to_owned()))?;
        if index >= completions { Err(IndexesError::TooLarge(text.to_owned())) } else { Ok(index) }
    };
    match ends.as_slice() {
        [one] => read(one).map(|index| (index, index)),
        [first, end] => {
            let (first, end) = (read(first)?, read(end)?);
            if first >= end { Err(IndexesError::Order(first, end)) } else { Ok((first, end)) }
        }
        _ => Err(IndexesError::Parts(part.to_owned())),
    }
}
