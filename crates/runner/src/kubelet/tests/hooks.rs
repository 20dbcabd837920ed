//! Containers with something to do after their start and before their end.

use super::*;

fn hooked(hook: &str) -> Value {
    let lifecycle = json!({hook: {"exec": {"command": ["true"]}}});
    pod(json!({"restartPolicy": "Always", "containers": [{"name": "main", "lifecycle": lifecycle}]}))
}

fn begin(hook: Hook) -> Action {
    Action::Hook { container: "main".to_owned(), attempt: 0, hook }
}

fn end(facts: &mut Facts, hook: Hook, answer: Answer, now: i64) {
    facts.note_hook_end("main", 0, hook, &answer, at(now));
}

fn failed() -> Answer {
    Answer::Failure("a secret".to_owned())
}

#[test]
fn container_is_not_there_for_others_before_its_hook_has_ended() {
    let mut pod = hooked("postStart");
    pod["spec"]["containers"][0]["readinessProbe"] = json!({"exec": {"command": ["true"]}});
    pod["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "next"}));
    assert_eq!(step(&mut pod, &Facts::default(), 0).actions, [start("main", 0)], "the next one waits");
    let mut facts = facts(vec![running("main", 0, 1)]);
    let made = step(&mut pod, &facts, 1);
    assert_eq!(made.actions, [begin(Hook::PostStart)]);
    assert_eq!(made.events.iter().map(|news| news.reason).collect::<Vec<_>>(), ["Created", "Started"]);
    assert_eq!(state(&pod), &json!({"waiting": {"reason": "ContainerCreating"}}));
    assert_eq!(pod["status"]["phase"], "Pending");
    facts.note_hook("main", 0, Hook::PostStart);
    assert_eq!(step(&mut pod, &facts, 2).actions, []);
    end(&mut facts, Hook::PostStart, Answer::Success, 3);
    let made = step(&mut pod, &facts, 3);
    let probe = Action::Probe { container: "main".to_owned(), attempt: 0, probe: Probe::Readiness };
    assert_eq!((made.actions, made.events), (vec![start("next", 0), probe], vec![]));
    assert!(state(&pod)["running"].is_object());
    // An engine that comes new knows by that that the hook has ended.
    facts.hooks.clear();
    assert!(!step(&mut pod, &facts, 4).actions.contains(&begin(Hook::PostStart)));
}

#[test]
fn container_whose_start_hook_fails_is_ended() {
    let mut pod = hooked("postStart");
    let mut facts = facts(vec![running("main", 0, 0)]);
    step(&mut pod, &facts, 0);
    facts.note_hook("main", 0, Hook::PostStart);
    end(&mut facts, Hook::PostStart, failed(), 1);
    let made = plan(&pod, &facts, at(1));
    let events = [
        News::warning("FailedPostStartHook", "PostStartHook failed").of("main"),
        News::normal("Killing", "FailedPostStartHook").of("main"),
    ];
    assert_eq!((made.events.as_slice(), made.wake_at), (events.as_slice(), Some(at(31))));
    assert_eq!(made.actions, [signal("main", 0, 15)]);
    facts.news.clear();
    assert_eq!(step(&mut pod, &facts, 31).actions, [signal("main", 0, 9)]);
    facts.runs = vec![ended("main", 0, 137, 0, 31)];
    assert_eq!(step(&mut pod, &facts, 31).actions, [start("main", 1)]);
}

#[test]
fn container_is_told_to_end_after_its_hook() {
    let mut pod = hooked("preStop");
    let mut facts = facts(vec![running("main", 0, 0)]);
    step(&mut pod, &facts, 0);
    delete(&mut pod, 0, 29);
    let made = step(&mut pod, &facts, 1);
    assert_eq!((made.actions, made.wake_at), (vec![begin(Hook::PreStop)], Some(at(30))));
    facts.note_hook("main", 0, Hook::PreStop);
    assert_eq!(step(&mut pod, &facts, 2).actions, []);
    end(&mut facts, Hook::PreStop, Answer::Success, 3);
    let made = step(&mut pod, &facts, 3);
    assert_eq!((made.actions, made.wake_at), (vec![signal("main", 0, 15)], Some(at(30))));
}

#[test]
fn container_has_two_seconds_after_a_hook_that_took_all_its_time() {
    for ends in [Some(29), None] {
        let mut pod = hooked("preStop");
        let mut facts = facts(vec![running("main", 0, 0)]);
        step(&mut pod, &facts, 0);
        delete(&mut pod, 0, 29);
        facts.note_hook("main", 0, Hook::PreStop);
        let mut last = 32;
        if let Some(now) = ends {
            end(&mut facts, Hook::PreStop, failed(), now);
            let told = News::warning("FailedPreStopHook", "PreStopHook failed").of("main");
            assert_eq!(facts.news, [told]);
            facts.news.clear();
            last = 31;
        }
        let made = step(&mut pod, &facts, 30);
        assert_eq!((made.actions, made.wake_at), (vec![signal("main", 0, 15)], Some(at(last))));
        assert_eq!(step(&mut pod, &facts, last).actions, [signal("main", 0, 9)]);
    }
}

#[test]
fn hook_of_a_container_that_is_given_no_time_has_a_second() {
    let mut pod = hooked("preStop");
    let mut facts = facts(vec![running("main", 0, 0)]);
    step(&mut pod, &facts, 0);
    delete(&mut pod, 1, 0);
    let made = step(&mut pod, &facts, 1);
    assert_eq!((made.actions, made.wake_at), (vec![begin(Hook::PreStop)], Some(at(3))));
    facts.note_hook("main", 0, Hook::PreStop);
    let made = step(&mut pod, &facts, 3);
    assert_eq!((made.actions, made.wake_at), (vec![signal("main", 0, 15)], Some(at(5))));
}

#[test]
fn hook_of_a_run_that_is_over_means_nothing() {
    let mut facts = facts(vec![ended("main", 0, 0, 0, 1)]);
    facts.note_hook("main", 0, Hook::PreStop);
    end(&mut facts, Hook::PreStop, failed(), 2);
    assert_eq!(facts.news, []);
}

#[test]
fn hook_says_what_is_to_be_done() {
    let made = |hook: Value| {
        let pod = pod(json!({"containers": [{"name": "main", "lifecycle": {"preStop": hook}}]}));
        hook_handler(&pod, "main", Hook::PreStop).unwrap()
    };
    assert_eq!(
        made(json!({"exec": {"command": ["echo", "$(A)"]}})),
        Handler::Exec(vec!["echo".to_owned(), "$(A)".to_owned()])
    );
    assert_eq!(made(json!({"sleep": {"seconds": 3}})), Handler::Sleep(3));
    assert!(matches!(made(json!({"tcpSocket": {"port": 1}})), Handler::Broken(_)));
    let Handler::Http(get) = made(json!({"httpGet": {"port": 1, "host": "h"}})) else { panic!("a request") };
    assert!(get.headers.contains(&("User-Agent".to_owned(), "kube-lifecycle/1.36".to_owned())));
}

#[test]
fn engine_that_stops_ends_pods_as_if_they_were_deleted_and_sooner_than_they_may_take() {
    for (grace, kill_at) in [(20, 30), (600, 100)] {
        let mut pod = hooked("preStop");
        pod["spec"]["terminationGracePeriodSeconds"] = json!(grace);
        let mut facts = facts(vec![running("main", 0, 0)]);
        step(&mut pod, &facts, 1);
        facts.ending = Some(at(10));
        let made = step(&mut pod, &facts, 10);
        assert_eq!((made.actions, made.wake_at), (vec![begin(Hook::PreStop)], Some(at(kill_at))));
        facts.note_hook("main", 0, Hook::PreStop);
        assert_eq!(step(&mut pod, &facts, 11).actions, []);
        end(&mut facts, Hook::PreStop, Answer::Success, 12);
        let made = step(&mut pod, &facts, 12);
        assert_eq!((made.actions, made.wake_at), (vec![signal("main", 0, 15)], Some(at(kill_at))));
        assert_eq!(step(&mut pod, &facts, kill_at).actions, [signal("main", 0, 9)]);
        assert_eq!(pod["status"]["phase"], "Running", "the next engine goes on with it");
    }
    // One that is being deleted has no longer than that either.
    let mut pod = hooked("none");
    let mut facts = facts(vec![running("main", 0, 0)]);
    step(&mut pod, &facts, 1);
    delete(&mut pod, 10, 3590);
    facts.ending = Some(at(10));
    assert_eq!(step(&mut pod, &facts, 39).actions, [signal("main", 0, 15)]);
    assert_eq!(step(&mut pod, &facts, 40).actions, [signal("main", 0, 9)]);
}
