//! Taints of the node: which pods do not come because of one, and which have to leave.
//!
//! Source: upstream `api/core/v1/toleration.go` (`ToleratesTaint`), `scheduler/framework/plugins/tainttoleration`,
//! `pkg/controller/tainteviction`. Tolerations that compare numbers (`Lt`, `Gt`) are off upstream, and here.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::planted::{Bug, is_planted};

/// When a pod has to leave its node because of taints of effect `NoExecute`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// Not for their sake.
    Never,
    /// Now.
    Now,
    /// When its tolerations have run out.
    At(Timestamp),
}

/// In the words of scheduler and kubelet, that a taint keeps a pod out.
pub(super) const UNTOLERATED: &str = "node(s) had untolerated taint(s)";

/// Why a pod does not come to a node with these taints.
pub(super) fn refusal(spec: &Value, taints: &[Value]) -> Option<String> {
    let keeps_out = |taint: &&Value| matches!(taint["effect"].as_str(), Some("NoSchedule" | "NoExecute"));
    let mut keeping = taints.iter().filter(keeps_out);
    keeping.any(|taint| tolerating(spec, taint).next().is_none()).then(|| format!("1 {UNTOLERATED}"))
}

/// Whether a pod cannot be on a node with these taints, not for a second.
pub(super) fn drives_out(spec: &Value, taints: &[Value]) -> bool {
    let mut driving = taints.iter().filter(|taint| taint["effect"] == "NoExecute");
    driving.any(|taint| tolerating(spec, taint).next().is_none())
}

/// When a pod on a node with these taints has to leave it; `known` is when it had to leave as it was looked at last.
///
/// A time that is set stays, whatever taints come and go: it falls only with the last taint, with tolerations that have
/// no end, or when one of the taints is not tolerated at all. (Upstream `processPodOnNode`.)
#[must_use]
pub fn leave(spec: &Value, taints: &[Value], known: Option<Timestamp>, now: Timestamp) -> Leave {
    let mut shortest = None::<i64>;
    let drives_out = |taint: &&Value| taint["effect"] == "NoExecute" && !is_planted(Bug::IgnoresTaints);
    for taint in taints.iter().filter(drives_out) {
        let mut tolerations = tolerating(spec, taint).peekable();
        if tolerations.peek().is_none() {
            return Leave::Now;
        }
        for seconds in tolerations.filter_map(|toleration| toleration["tolerationSeconds"].as_i64()) {
            shortest = Some(shortest.map_or(seconds, |least| least.min(seconds)).max(0));
        }
    }
    match (shortest, known) {
        (None, _) => Leave::Never,
        (Some(_), Some(known)) => Leave::At(known),
        (Some(0), None) => Leave::Now,
        // Longer than time is, is never.
        (Some(seconds), None) => {
            now.checked_add(SignedDuration::from_secs(seconds)).map_or(Leave::Never, Leave::At)
        }
    }
}

/// The tolerations of a pod that tolerate a taint.
fn tolerating<'a>(spec: &'a Value, taint: &'a Value) -> impl Iterator<Item = &'a Value> {
    let list = spec["tolerations"].as_array().into_iter().flatten();
    list.filter(move |toleration| tolerates(toleration, taint))
}

/// Whether a toleration tolerates a taint.
pub(super) fn tolerates(toleration: &Value, taint: &Value) -> bool {
    fn text<'a>(value: &'a Value, field: &str) -> &'a str {
        value[field].as_str().unwrap_or_default()
    }
    let is_any_or = |field: &str| {
        let wanted = text(toleration, field);
        wanted.is_empty() || wanted == text(taint, field)
    };
    let matches = match text(toleration, "operator") {
        "" | "Equal" => text(toleration, "value") == text(taint, "value"),
        operator => operator == "Exists",
    };
    is_any_or("effect") && is_any_or("key") && matches
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn toleration_tolerates_what_it_names() {
        let taint = json!({"key": "gpu", "value": "only", "effect": "NoSchedule"});
        for (toleration, expected) in [
            (json!({"key": "gpu", "value": "only"}), true),
            (json!({"key": "gpu", "operator": "Exists"}), true),
            (json!({"operator": "Exists"}), true),
            (json!({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}), false),
            (json!({"key": "gpu", "value": "other"}), false),
            (json!({"key": "gpu"}), false),
            (json!({"key": "cpu", "operator": "Exists"}), false),
            (json!({"key": "gpu", "operator": "Gt", "value": "1"}), false),
        ] {
            assert_eq!(tolerates(&toleration, &taint), expected, "{toleration}");
            let spec = json!({"tolerations": [toleration]});
            assert_eq!(refusal(&spec, std::slice::from_ref(&taint)).is_none(), expected);
        }
        let prefers = json!({"key": "gpu", "effect": "PreferNoSchedule"});
        assert_eq!(refusal(&json!({}), &[prefers]), None);
    }

    #[test]
    fn who_runs_leaves_at_once_or_when_its_patience_ends() {
        let taints = [
            json!({"key": "a", "effect": "NoExecute"}),
            json!({"key": "b", "effect": "NoExecute"}),
            json!({"key": "c", "effect": "NoSchedule"}),
        ];
        let with = |tolerations: Value| leave(&json!({"tolerations": tolerations}), &taints, None, at(100));
        let exists = |key: &str, seconds: Value| json!({"key": key, "operator": "Exists", "tolerationSeconds": seconds});
        assert_eq!(with(json!([])), Leave::Now);
        assert_eq!(with(json!([exists("a", json!(null))])), Leave::Now, "b is not tolerated");
        assert_eq!(with(json!([exists("a", json!(null)), exists("b", json!(null))])), Leave::Never);
        assert_eq!(with(json!([exists("a", json!(20)), exists("b", json!(5))])), Leave::At(at(105)));
        assert_eq!(with(json!([exists("a", json!(0)), exists("b", json!(5))])), Leave::Now);
        assert_eq!(with(json!([exists("a", json!(i64::MAX)), exists("b", json!(null))])), Leave::Never);
        assert_eq!(leave(&json!({}), &taints[2..], None, at(1)), Leave::Never);
    }

    #[test]
    fn time_that_is_set_stays_while_taints_come_and_go() {
        let taint = |key: &str| json!({"key": key, "effect": "NoExecute"});
        let exists = |key: &str, seconds: Value| json!({"key": key, "operator": "Exists", "tolerationSeconds": seconds});
        let spec = json!({"tolerations": [
            exists("a", json!(300)), exists("b", json!(20)), exists("c", json!(null))]});
        let both = [taint("a"), taint("b")];
        let first = Leave::At(at(400));
        assert_eq!(leave(&spec, &both[..1], None, at(100)), first);
        for taints in [&both[..1], &both[..], &both[1..], &[taint("a"), taint("c")]] {
            assert_eq!(leave(&spec, taints, Some(at(400)), at(350)), first, "{taints:?}");
        }
        assert_eq!(leave(&spec, &[taint("c")], Some(at(400)), at(350)), Leave::Never);
        assert_eq!(leave(&spec, &[], Some(at(400)), at(350)), Leave::Never);
        assert_eq!(leave(&spec, &[taint("a"), taint("d")], Some(at(400)), at(350)), Leave::Now);
    }
}
