//! What a process may do less than its user, as values: nothing here touches a process (`shim/privileges.rs` does).

use serde::{Deserialize, Serialize};

/// Rights that a process is to be without, and its groups. All of it holds for what it starts, too.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rights {
    /// Nothing that it executes gives it rights that it has not (`no_new_privs`, prctl(2)).
    #[serde(default)]
    pub is_fixed: bool,
    /// Capabilities that it can never have, by number.
    #[serde(default)]
    pub without: Vec<u8>,
    /// Its supplementary groups; none: those of the shim.
    #[serde(default)]
    pub groups: Option<Vec<u32>>,
    /// System calls that no job needs are refused: the profile `RuntimeDefault` of this runtime.
    #[serde(default)]
    pub is_filtered: bool,
}

/// The capabilities by number (capabilities(7), `linux/capability.h`).
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The capability of a name, with or without `CAP_` in front.
#[must_use]
pub(crate) fn capability(name: &str) -> Option<u8> {
    let name = name.strip_prefix("CAP_").unwrap_or(name);
    u8::try_from(CAPABILITIES.iter().position(|known| *known == name)?).ok()
}

/// All of them.
pub(crate) fn capabilities() -> impl Iterator<Item = u8> {
    (0..).take(CAPABILITIES.len())
}
