//! Containers that do not come to be: their image is not found, or they cannot be made. `stuck: ImagePullBackOff`, or
//! `stuck: {reason: ErrImagePull, message: no such tag, for: 40s}`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::after;

/// Why a container does not come to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Its image cannot be pulled; it is tried again and again, and `ImagePullBackOff` in between.
    Pull,
    /// Its image's name is none.
    ImageName,
    /// Its image is not there, and may not be pulled.
    NeverPull,
    /// Something that its spec names is not there.
    Config,
    /// It cannot be made.
    Create,
}

/// What keeps a container from coming to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stuck {
    /// Why.
    pub reason: Reason,
    /// In whose words; upstream's if none.
    pub message: Option<String>,
    /// How long; for ever if none.
    pub lasts: Option<Duration>,
}

/// How long `ErrImagePull` is shown before `ImagePullBackOff` is.
const SHOWN: SignedDuration = SignedDuration::from_secs(2);
/// Between the first pull and the second; doubled each time, up to [`LONGEST`] (upstream: `imageBackOffPeriod` and
/// `MaxContainerBackOff` in pkg/kubelet/kubelet.go).
const FIRST: SignedDuration = SignedDuration::from_secs(10);
const LONGEST: SignedDuration = SignedDuration::from_secs(300);

/// How each reason is written, and read; two words mean the same.
const WORDS: [(&str, Reason); 6] = [
    ("ErrImagePull", Reason::Pull),
    ("ImagePullBackOff", Reason::Pull),
    ("InvalidImageName", Reason::ImageName),
    ("ErrImageNeverPull", Reason::NeverPull),
    ("CreateContainerConfigError", Reason::Config),
    ("CreateContainerError", Reason::Create),
];

impl Reason {
    /// Reads one.
    pub(crate) fn read(text: &str) -> Result<Reason, String> {
        let known = WORDS.iter().find(|(word, _)| *word == text).map(|(_, reason)| *reason);
        known.ok_or_else(|| {
            let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
            format!("{text:?} is no reason: one of {}", words.join(", "))
        })
    }
}

impl Stuck {
    /// What is shown at a time of a container that was to be made at `since`: the reason and the message of its waiting
    /// state, and when to look again. Nothing once it is no longer stuck.
    #[must_use]
    pub fn shown(
        &self,
        image: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Option<(&'static str, String, Option<Timestamp>)> {
        let until = self.lasts.map(|lasts| after(since, lasts));
        if until.is_some_and(|until| until <= now) {
            return None;
        }
        let own = |text: &dyn Fn() -> String| self.message.clone().unwrap_or_else(text);
        let (reason, message, next) = match self.reason {
            Reason::Pull => {
                let why = own(&|| {
                    format!(
                        "rpc error: code = NotFound desc = failed to pull and unpack image {image:?}: failed to resolve \
                         reference {image:?}: {image}: not found"
                    )
                });
                let (is_pulling, next) = pulling(since, now);
                match is_pulling {
                    true => ("ErrImagePull", why, Some(next)),
                    false => {
                        let text = format!("Back-off pulling image {image:?}: ErrImagePull: {why}");
                        ("ImagePullBackOff", text, Some(next))
                    }
                }
            }
            Reason::ImageName => {
                let text = || {
                    format!(
                        "Failed to apply default image tag {image:?}: couldn't parse image name {image:?}: invalid \
                         reference format"
                    )
                };
                ("InvalidImageName", own(&text), None)
            }
            Reason::NeverPull => {
                let text = || format!("Container image {image:?} is not present with pull policy of Never");
                ("ErrImageNeverPull", own(&text), None)
            }
            Reason::Config => {
                ("CreateContainerConfigError", own(&|| "configmap \"config\" not found".to_owned()), None)
            }
            Reason::Create => ("CreateContainerError", own(&|| "context deadline exceeded".to_owned()), None),
        };
        Some((reason, message, next.into_iter().chain(until).min()))
    }
}

/// Whether a pull has just failed, and when that changes.
fn pulling(since: Timestamp, now: Timestamp) -> (bool, Timestamp) {
    let add = |at: Timestamp, wait: SignedDuration| at.checked_add(wait).unwrap_or(Timestamp::MAX);
    let (mut pull, mut wait) = (since, FIRST);
    // Beyond the growing waits all are alike: a clock far ahead costs no more steps.
    loop {
        let next = add(pull, wait);
        if now < next || next == Timestamp::MAX {
            let shown = add(pull, SHOWN);
            return if now < shown { (true, shown) } else { (false, next) };
        }
        pull = next;
        if wait == LONGEST {
            let rounds = now.duration_since(pull).as_secs() / LONGEST.as_secs();
            pull = add(pull, SignedDuration::from_secs(rounds * LONGEST.as_secs()));
        }
        wait = (wait * 2).min(LONGEST);
    }
}
