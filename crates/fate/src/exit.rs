//! How a run ends: `exit: 3`, `exit: SIGSEGV`, `exit: OOMKilled`, or a list of these, one for each try.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a run ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Exit {
    /// With this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
    /// It wanted more memory than it may have: 137, and the reason `OOMKilled`.
    OutOfMemory,
    /// Its pod is evicted, because the node is short of something.
    Evicted,
    /// Its pod is lost with its node.
    NodeLost,
}

/// The signals that have names, with their numbers on Linux.
const SIGNALS: [(&str, u8); 20] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("SYS", 31),
];

/// The longest list.
const MOST: usize = 1000;

/// Reads one end or a list of them.
pub(crate) fn read(value: &Value) -> Result<Vec<Exit>, String> {
    match value {
        Value::Array(list) if list.is_empty() => {
            Err("the list is empty: name the end of the first try".to_owned())
        }
        Value::Array(list) if list.len() > MOST => Err(format!("more than {MOST} tries are listed")),
        Value::Array(list) => list.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

fn one(value: &Value) -> Result<Exit, String> {
    let fault = || {
        format!(
            "{value} is no end: an exit code (0 to 255), a signal (SIGKILL), OOMKilled, Evicted or NodeLost"
        )
    };
    match value {
        Value::Number(number) => {
            let code = number.as_u64().and_then(|code| u8::try_from(code).ok());
            code.map(Exit::Code).ok_or_else(fault)
        }
        Value::String(text) => match text.as_str() {
            "OOMKilled" => Ok(Exit::OutOfMemory),
            "Evicted" => Ok(Exit::Evicted),
            "NodeLost" => Ok(Exit::NodeLost),
            text => {
                signal(text).map(Exit::Signal).or_else(|| text.parse().ok().map(Exit::Code)).ok_or_else(fault)
            }
        },
        _ => Err(fault()),
    }
}

fn signal(text: &str) -> Option<u8> {
    let name = text.strip_prefix("SIG")?;
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}
