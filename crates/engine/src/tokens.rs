//! The tokens that lie in pods' volumes: issued when the volumes are made, and renewed before they end.
//!
//! It knows no container and no right: a token is what [`Accounts`] makes of it.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use windlass_apiserver::rights::Accounts;
use windlass_runner::process::{TokenFile, tokens};
use windlass_runner::volumes::renew;

use crate::tick::Tick;

/// A token is renewed when this part of its time has passed (upstream: pkg/kubelet/token/token_manager.go).
const PART: (i64, i64) = (4, 5);
/// And after a day at the latest.
const LONGEST_S: i64 = 24 * 3600;
/// When it is tried again after a failure, seconds.
const AGAIN_S: i64 = 30;

/// When which pod's tokens are to be renewed.
pub(crate) struct Tokens {
    accounts: Accounts,
    order: BTreeSet<(Timestamp, String)>,
    times: HashMap<String, Timestamp>,
}

impl Tokens {
    pub(crate) fn new(accounts: Accounts) -> Tokens {
        Tokens { accounts, order: BTreeSet::new(), times: HashMap::new() }
    }

    /// A token of a pod's service account, bound to the pod.
    pub(crate) fn issue(&self, pod: &Value, audience: Option<&str>, seconds: i64) -> Result<String, String> {
        let issued = self.accounts.issue_for_pod(pod, audience, seconds);
        issued.map(|issued| issued.token).map_err(|cause| cause.to_string())
    }

    /// The earliest time.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Replaces a pod's time.
    fn set(&mut self, uid: &str, at: Option<Timestamp>) {
        if self.times.is_empty() && at.is_none() {
            return;
        }
        if let Some(old) = self.times.remove(uid) {
            self.order.remove(&(old, uid.to_owned()));
        }
        if let Some(at) = at {
            self.times.insert(uid.to_owned(), at);
            self.order.insert((at, uid.to_owned()));
        }
    }
}

/// When tokens are renewed that are made now: with the one that ends first.
fn renewal(files: &[TokenFile], now: Timestamp) -> Option<Timestamp> {
    let first = files.iter().map(|file| file.seconds).min()?;
    let wait = (first.saturating_mul(PART.0) / PART.1).min(LONGEST_S);
    now.checked_add(SignedDuration::from_secs(wait)).ok()
}

impl Tick {
    /// The volumes of a pod were made, with its tokens if it has any.
    pub(crate) fn tokens_made(&mut self, uid: &str) {
        let at = self.pod_by(uid).and_then(|pod| renewal(&tokens(&pod), self.world.now()));
        self.tokens.set(uid, at);
    }

    /// The volumes of a pod are there since before this engine: its tokens are renewed at once.
    pub(crate) fn tokens_found(&mut self, uid: &str) {
        if self.pod_by(uid).is_some_and(|pod| !tokens(&pod).is_empty()) {
            self.tokens.set(uid, Some(self.world.now()));
        }
    }

    /// The volumes of a pod go.
    pub(crate) fn tokens_gone(&mut self, uid: &str) {
        self.tokens.set(uid, None);
    }

    /// Renews the tokens whose time has come.
    pub(crate) fn renew_tokens(&mut self) {
        let now = self.world.now();
        while let Some((_, uid)) = self.tokens.order.first().filter(|(at, _)| *at <= now).cloned() {
            let at = self.pod_by(&uid).and_then(|pod| match self.renew_tokens_of(&uid, &pod) {
                Ok(files) => renewal(&files, now),
                Err(cause) => {
                    tracing::warn!(%uid, cause, "a pod's token cannot be renewed");
                    now.checked_add(SignedDuration::from_secs(AGAIN_S)).ok()
                }
            });
            self.tokens.set(&uid, at);
        }
    }

    fn renew_tokens_of(&self, uid: &str, pod: &Value) -> Result<Vec<TokenFile>, String> {
        let files = tokens(pod);
        for asked in &files {
            let token = self.tokens.issue(pod, asked.audience.as_deref(), asked.seconds)?;
            let volume = self.volumes.disk(uid).join(&asked.volume);
            let fault = |cause| format!("{}: {cause}", volume.join(&asked.path).display());
            renew(&volume, &asked.file(token)).map_err(fault)?;
        }
        Ok(files)
    }

    /// A pod that may still need something, whole.
    pub(crate) fn pod_by(&self, uid: &str) -> Option<Value> {
        Some(self.cache.held(self.cache.key_of(uid)?)?.object.whole())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasting(seconds: i64) -> TokenFile {
        TokenFile { volume: "v".into(), path: "t".into(), audience: None, seconds, mode: 0o600 }
    }

    #[test]
    fn token_is_renewed_when_a_fifth_of_its_time_is_left_and_daily_at_least() {
        let now = Timestamp::UNIX_EPOCH;
        let wait = |files: &[TokenFile]| renewal(files, now).map(Timestamp::as_second);
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[lasting(3607)]), Some(2885));
        assert_eq!(wait(&[lasting(3600), lasting(600)]), Some(480));
        assert_eq!(wait(&[lasting(1 << 32)]), Some(86_400));
    }
}
