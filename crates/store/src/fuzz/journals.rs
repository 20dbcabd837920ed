//! The journals of the embedded store, which are looked at before it opens them.

use std::io::Cursor;

use crate::backend::fuzz::{END, damage_in, goes_on, used};

/// Damage begins where a second reading cannot go on; what is used of a journal is followed by zeros alone; and a batch
/// that was torn at the end of a sound journal is told from damage in its middle.
pub fn journals(data: &[u8]) {
    let found = damage(data);
    assert_eq!(found, second(data));
    let length = used(data);
    assert!(data[length..].iter().all(|&byte| byte == 0));
    let sound = &data[..found.unwrap_or(data.len())];
    assert_eq!(damage(sound), None);
    // Zeros end a journal; nothing is written behind them.
    if sound.ends_with(END) || sound.is_empty() {
        let batch = batch(b"key", b"value");
        let whole = [sound, &batch[..], &[0; 5000][..]].concat();
        assert_eq!(damage(&whole), None);
        let torn = [sound, &batch[..batch.len() - 1]].concat();
        assert_eq!(damage(&torn), Some(sound.len()));
        assert!(!goes_on(&torn[sound.len()..]), "a torn end");
        let within = [sound, &[9], &batch[1..], &batch[..]].concat();
        assert_eq!(damage(&within), Some(sound.len()));
        assert!(goes_on(&within[sound.len()..]), "damage in the middle");
    }
}

fn damage(journal: &[u8]) -> Option<usize> {
    let at = damage_in(Cursor::new(journal), journal.len() as u64).expect("nothing fails in memory")?;
    Some(usize::try_from(at).expect("it is within"))
}

/// A batch with one write, as fjall's format 3 has it.
fn batch(key: &[u8], value: &[u8]) -> Vec<u8> {
    let (short, long) = (key.len() as u16, value.len() as u32);
    let mut batch =
        [&[1][..], &1_u32.to_le_bytes(), &[0; 8], &[2, 0, 0], &[0; 8], &short.to_le_bytes()].concat();
    batch.extend([&long.to_le_bytes()[..], &long.to_le_bytes(), key, value, &[3], &[0; 8], END].concat());
    batch
}

/// The same by places in memory: where the first batch begins that cannot be read.
fn second(journal: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < journal.len() {
        match journal[at] {
            0 if journal[at..].iter().all(|&byte| byte == 0) => return None,
            1 => match end(journal, at) {
                Some(end) => at = end,
                None => return Some(at),
            },
            _ => return Some(at),
        }
    }
    None
}

fn end(journal: &[u8], begin: usize) -> Option<usize> {
    let number = |at: usize, bytes: usize| {
        let bytes = journal.get(at..at + bytes)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    };
    let many = number(begin + 1, 4)?;
    let mut at = begin + 13;
    for _ in 0..many {
        (journal.get(at)? == &2).then_some(())?;
        at += 21 + number(at + 11, 2)? + number(at + 17, 4)?;
    }
    (journal.get(at)? == &3 && journal.get(at + 9..at + 13)? == END).then_some(at + 13)
}
