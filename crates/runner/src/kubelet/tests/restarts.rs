//! What is done and told between a container's end and its next start.

use super::*;

#[test]
fn failed_container_restarts_at_once_then_backs_off_from_ten_seconds_to_three_hundred() {
    let mut pod = pod(json!({"restartPolicy": "OnFailure"}));
    let made = step(&mut pod, &facts(vec![ended("main", 0, 1, 0, 1)]), 1);
    assert_eq!(made.actions, [start("main", 1)]);
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(state(&pod)["terminated"]["exitCode"], 1);
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);

    let mut now = 1;
    for (attempt, wait) in [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300)] {
        let facts = facts(vec![ended("main", attempt, 1, now, now + 1)]);
        now += 1;
        let made = step(&mut pod, &facts, now);
        assert_eq!((made.actions.as_slice(), made.wake_at), (&[][..], Some(at(now + 10))));
        assert_eq!(state(&pod)["terminated"]["exitCode"], 1);
        assert_eq!(made.events.iter().filter(|news| news.reason == "BackOff").count(), 1);
        if wait > 10 {
            let made = step(&mut pod, &facts, now + 10);
            assert_eq!((made.actions.as_slice(), made.wake_at), (&[][..], Some(at(now + wait))));
            assert_eq!(state(&pod)["waiting"]["reason"], "CrashLoopBackOff");
            assert_eq!(made.events, []);
        }
        now += wait;
        assert_eq!(step(&mut pod, &facts, now).actions, [start("main", attempt + 1)]);
        assert_eq!(state(&pod)["waiting"]["reason"], "CrashLoopBackOff");
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], attempt);
    }
}

/// What the status says of the only container: how it is, how its earlier run ended, its restarts, its run.
fn said(pod: &Value) -> (String, String, u64, String) {
    let status = &pod["status"]["containerStatuses"][0];
    let word = |state: &Value| {
        let (kind, state) = state.as_object().and_then(|state| state.iter().next()).unzip();
        let (kind, state) = (kind.map_or("", String::as_str), state.unwrap_or(&Value::Null));
        let reason = state["reason"].as_str().map(|reason| format!(" {reason}")).unwrap_or_default();
        let code = state["exitCode"].as_i64().map(|code| format!(" {code}")).unwrap_or_default();
        format!("{kind}{reason}{code}")
    };
    let id = status["containerID"].as_str().unwrap_or_default().trim_start_matches("windlass://u1/main/");
    let restarts = status["restartCount"].as_u64().unwrap();
    (word(&status["state"]), word(&status["lastState"]), restarts, id.to_owned())
}

/// As upstream's kubelet of v1.36.3 tells it, watched on a node of its own.
#[test]
fn container_that_starts_again_has_ended_until_it_runs() {
    let mut pod = pod(json!({"restartPolicy": "OnFailure"}));
    let mut told = Vec::new();
    let starting = |attempt| Run { container: "main".to_owned(), attempt, state: RunState::Starting };
    let first = ended("main", 0, 3, 1, 2);
    let second = ended("main", 1, 3, 2, 3);
    for (runs, now) in [
        (vec![running("main", 0, 1)], 1),
        (vec![first.clone()], 2),
        (vec![first.clone(), starting(1)], 2),
        (vec![first, running("main", 1, 2)], 2),
        (vec![second.clone()], 3),
        (vec![second.clone()], 13),
        (vec![second.clone(), starting(2)], 13),
        (vec![second, running("main", 2, 13)], 13),
    ] {
        step(&mut pod, &facts(runs), now);
        told.push(said(&pod));
    }
    let expected = [
        ("running", "", 0, "0"),
        ("terminated Error 3", "", 0, "0"),
        ("terminated Error 3", "", 0, "0"),
        ("running", "terminated Error 3", 1, "1"),
        ("terminated Error 3", "terminated Error 3", 1, "1"),
        ("waiting CrashLoopBackOff", "terminated Error 3", 1, "1"),
        ("waiting CrashLoopBackOff", "terminated Error 3", 1, "1"),
        ("running", "terminated Error 3", 2, "2"),
    ];
    assert_eq!(
        told,
        expected.map(|(state, last, restarts, id)| (state.into(), last.into(), restarts, id.into()))
    );
}

/// As upstream's kubelet of v1.36.3 tells it, watched on a node of its own.
#[test]
fn program_that_is_missing_is_tried_again_and_is_a_run_error_in_between() {
    let mut pod = pod(json!({"restartPolicy": "OnFailure"}));
    let missing = |attempt, now| {
        let state =
            RunState::Failed { failure: StartFailure::NotFound, message: "no such".to_owned(), at: at(now) };
        facts(vec![Run { container: "main".to_owned(), attempt, state }])
    };
    let made = step(&mut pod, &missing(0, 1), 1);
    assert_eq!((made.actions.as_slice(), made.events.len()), (&[start("main", 1)][..], 1));
    let expected = |reason: &str, attempt: u64| {
        (format!("waiting {reason}"), "terminated StartError 128".to_owned(), attempt, attempt.to_string())
    };
    assert_eq!(said(&pod), expected("RunContainerError", 0));
    assert_eq!(state(&pod)["waiting"]["message"], "no such");
    let made = step(&mut pod, &missing(1, 2), 2);
    let reasons: Vec<_> = made.events.iter().map(|news| news.reason).collect();
    assert_eq!(reasons, ["Failed", "BackOff"]);
    assert_eq!(said(&pod), expected("RunContainerError", 1));
    step(&mut pod, &missing(1, 2), 12);
    assert_eq!(said(&pod), expected("CrashLoopBackOff", 1));
}

#[test]
fn back_off_message_names_container_and_pod() {
    let mut pod = pod(json!({"restartPolicy": "Always"}));
    step(&mut pod, &facts(vec![ended("main", 4, 0, 0, 1)]), 11);
    let message = "back-off 1m20s restarting failed container=main pod=p_default(u1)";
    assert_eq!(state(&pod)["waiting"]["message"], message);
}

#[test]
fn long_run_forgives_earlier_crashes() {
    let mut pod = pod(json!({"restartPolicy": "Always"}));
    let made = step(&mut pod, &facts(vec![ended("main", 6, 1, 0, 600)]), 600);
    assert_eq!(made.actions, [start("main", 7)]);
}

#[test]
fn after_a_long_run_the_back_off_begins_anew() {
    let mut pod = pod(json!({"restartPolicy": "OnFailure"}));
    let mut facts = facts(vec![ended("main", 5, 1, 0, 600)]);
    facts.note_end("main", 5, at(0), at(600));
    assert_eq!(step(&mut pod, &facts, 600).actions, [start("main", 6)]);
    let mut now = 600;
    for (attempt, wait) in [(6, 10), (7, 20), (8, 40)] {
        facts.runs = vec![ended("main", attempt, 1, now, now + 1)];
        facts.note_end("main", attempt, at(now), at(now + 1));
        now += 1;
        assert_eq!(step(&mut pod, &facts, now).wake_at, Some(at(now + 10)));
        let made = step(&mut pod, &facts, now + wait - 1);
        assert_eq!((made.actions.as_slice(), made.wake_at), (&[][..], Some(at(now + wait))));
        now += wait;
        assert_eq!(step(&mut pod, &facts, now).actions, [start("main", attempt + 1)]);
    }
}

#[test]
fn count_that_somebody_wrote_ahead_of_a_run_that_lives_starts_no_other() {
    let mut pod = pod(json!({"restartPolicy": "OnFailure"}));
    pod["status"]["containerStatuses"] = json!([{"name": "main", "restartCount": 4}]);
    let made = step(&mut pod, &facts(vec![running("main", 0, 1)]), 2);
    assert_eq!(made.actions, []);
    assert_eq!(said(&pod), ("running".to_owned(), String::new(), 0, "0".to_owned()));
    delete(&mut pod, 3, 30);
    assert_eq!(step(&mut pod, &facts(vec![running("main", 0, 1)]), 3).actions, [signal("main", 0, 15)]);
}
