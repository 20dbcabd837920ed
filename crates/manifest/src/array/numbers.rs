//! The numbers of an array's tasks, as Slurm writes them: `0-99`, `1-300`, `5,7,9-20:2`.

use std::fmt;

use super::MOST_TASKS;

/// Different numbers in the order of the tasks; a task's index is its place. Kept as ranges, so that a long row of
/// them is short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers(Vec<Range>);

/// `first`, `first + step`, ... up to `last`, which is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
    step: u32,
}

impl Range {
    fn len(self) -> u32 {
        (self.last - self.first) / self.step + 1
    }

    /// The place of a number in it.
    fn place(self, number: u32) -> Option<u32> {
        let is_in = (self.first..=self.last).contains(&number);
        (is_in && (number - self.first).is_multiple_of(self.step)).then(|| (number - self.first) / self.step)
    }
}

impl Numbers {
    /// Reads numbers and ranges by commas; a range may have a step.
    ///
    /// # Errors
    /// What is wrong with the text, as the rest of a sentence about it: no number, a range that goes backwards, a
    /// number that is there twice, more than [`MOST_TASKS`].
    pub fn parse(text: &str) -> Result<Numbers, String> {
        let mut numbers = Vec::new();
        for word in text.split(',') {
            let range = range(word.trim())?;
            if numbers.len() as u64 + u64::from(range.last - range.first) / u64::from(range.step) + 1
                > MOST_TASKS as u64
            {
                return Err(format!(
                    "has more than {MOST_TASKS} tasks, which is the most that one job takes"
                ));
            }
            numbers.extend((range.first..=range.last).step_by(range.step as usize));
        }
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("has {} twice", pair[0])),
            None => Ok(numbers.into_iter().collect()),
        }
    }

    /// The same with Slurm's `%N` at the end: how many tasks may run at a time.
    ///
    /// # Errors
    /// As [`Numbers::parse`]; `%0` too.
    pub fn parse_with_limit(text: &str) -> Result<(Numbers, Option<u32>), String> {
        let Some((numbers, limit)) = text.split_once('%') else { return Ok((Numbers::parse(text)?, None)) };
        match limit.parse() {
            Ok(0) => {
                Err("would never run a task: after % comes how many may run at a time, from 1".to_owned())
            }
            Ok(limit) => Ok((Numbers::parse(numbers)?, Some(limit))),
            Err(_) => Err(format!("has {limit:?} after %, which is no number of tasks at a time")),
        }
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|range| range.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of the task with this index.
    pub fn get(&self, index: u32) -> Option<u32> {
        let mut left = index;
        for range in &self.0 {
            if left < range.len() {
                return Some(range.first + left * range.step);
            }
            left -= range.len();
        }
        None
    }

    /// The index of the task with this number.
    pub fn index_of(&self, number: u32) -> Option<u32> {
        let mut before = 0;
        for range in &self.0 {
            match range.place(number) {
                Some(place) => return Some(before + place),
                None => before += range.len(),
            }
        }
        None
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|range| (range.first..=range.last).step_by(range.step as usize))
    }

    /// Their ranges: first number, step, how many.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        self.0.iter().map(|range| (range.first, range.step, range.len()))
    }

    /// Whether each task's number is its index.
    pub fn are_indexes(&self) -> bool {
        matches!(&self.0[..], [] | [Range { first: 0, step: 1, .. }])
    }
}

impl FromIterator<u32> for Numbers {
    /// Joined to ranges where they make some.
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> Self {
        let numbers: Vec<u32> = numbers.into_iter().collect();
        let (mut ranges, mut rest) = (Vec::new(), &numbers[..]);
        while let Some(&first) = rest.first() {
            let step = rest.get(1).and_then(|next| next.checked_sub(first)).filter(|step| *step > 0);
            let run = step.map_or(1, |step| {
                1 + rest.windows(2).take_while(|w| w[1].checked_sub(w[0]) == Some(step)).count()
            });
            let run = if run == 2 && step != Some(1) { 1 } else { run };
            let step = if run == 1 { 1 } else { step.unwrap_or(1) };
            ranges.push(Range { first, last: rest[run - 1], step });
            rest = &rest[run..];
        }
        Numbers(ranges)
    }
}

impl fmt::Display for Numbers {
    /// As [`Numbers::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Range { first, last, step }) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            match step {
                _ if first == last => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first}-{last}")?,
                step => write!(f, "{comma}{first}-{last}:{step}")?,
            }
        }
        Ok(())
    }
}

/// `7`, `9-20` or `9-20:2`.
fn range(word: &str) -> Result<Range, String> {
    let number = |text: &str| -> Result<u32, String> {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = text.parse().ok().filter(|_| is_plain);
        parsed.ok_or_else(|| format!("has {word:?}, which is no number; write it like 0-99 or 5,7,9-20:2"))
    };
    let (bounds, step) = match word.split_once(':') {
        Some((bounds, step)) if bounds.contains('-') => (bounds, number(step)?),
        Some(_) => return Err(format!("has {word:?}: a step belongs to a range, like 9-20:2")),
        None => (word, 1),
    };
    let (first, last) = match bounds.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(bounds)?, number(bounds)?),
    };
    if first > last {
        return Err(format!("has {word:?}, which goes backwards; write {last}-{first}"));
    }
    if step == 0 {
        return Err(format!("has {word:?}, whose step leads nowhere"));
    }
    Ok(Range { first, last: last - (last - first) % step, step })
}
