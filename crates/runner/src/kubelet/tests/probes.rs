//! Containers that are asked how they are.

use super::*;

fn probed(more: Value) -> Value {
    let mut main = json!({"name": "main"});
    for (field, value) in more.as_object().unwrap() {
        main[field] = value.clone();
    }
    pod(json!({"restartPolicy": "Always", "containers": [main]}))
}

fn probe(more: Value) -> Value {
    let mut probe = json!({"exec": {"command": ["true"]}, "periodSeconds": 10, "failureThreshold": 3});
    for (field, value) in more.as_object().unwrap() {
        probe[field] = value.clone();
    }
    probe
}

fn ask(probe: Probe) -> Action {
    Action::Probe { container: "main".to_owned(), attempt: 0, probe }
}

/// Asks and answers, and plans with what came of it.
fn answer(pod: &mut Value, facts: &mut Facts, probe: Probe, said: Answer, now: i64) -> Plan {
    facts.note_asked("main", 0, probe, at(now));
    facts.note_answer(&*pod, ("main", 0, probe), &said, at(now));
    hear(pod, facts, now)
}

/// Plans; its news are recorded.
fn hear(pod: &mut Value, facts: &mut Facts, now: i64) -> Plan {
    let made = plan(&*pod, facts, at(now));
    facts.news.clear();
    let next = step(pod, facts, now);
    assert_eq!((next.actions, next.wake_at), (made.actions.clone(), made.wake_at));
    made
}

fn no(text: &str) -> Answer {
    Answer::Failure(text.to_owned())
}

fn main_status(pod: &Value) -> (&Value, &Value) {
    let status = &pod["status"]["containerStatuses"][0];
    (&status["ready"], &status["started"])
}

const YES: &Value = &Value::Bool(true);
const NO: &Value = &Value::Bool(false);

#[test]
fn container_with_a_readiness_probe_is_ready_from_its_first_yes_until_it_has_said_no_three_times() {
    let mut pod = probed(json!({"readinessProbe": probe(json!({"initialDelaySeconds": 5}))}));
    let mut facts = facts(vec![running("main", 0, 0)]);
    let made = step(&mut pod, &facts, 0);
    assert_eq!((made.actions, made.wake_at), (vec![], Some(at(5))));
    assert_eq!(main_status(&pod), (NO, YES));
    assert_eq!(condition(&pod, "Ready")["reason"], "ContainersNotReady");
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(step(&mut pod, &facts, 5).actions, [ask(Probe::Readiness)]);
    let made = answer(&mut pod, &mut facts, Probe::Readiness, Answer::Success, 5);
    assert_eq!((made.actions, made.wake_at), (vec![], Some(at(15))));
    assert_eq!((main_status(&pod).0, &condition(&pod, "Ready")["status"]), (YES, &json!("True")));
    for now in [15, 25] {
        let made = answer(&mut pod, &mut facts, Probe::Readiness, no("busy"), now);
        let event = News::warning("Unhealthy", "Readiness probe failed: busy").of("main");
        assert_eq!((made.events, main_status(&pod).0), (vec![event], YES));
    }
    let made = answer(&mut pod, &mut facts, Probe::Readiness, no("busy"), 35);
    assert_eq!((made.actions, main_status(&pod).0), (vec![], NO));
    assert_eq!(condition(&pod, "ContainersReady")["message"], "containers with unready status: [main]");
    answer(&mut pod, &mut facts, Probe::Readiness, Answer::Success, 45);
    assert_eq!(main_status(&pod).0, YES);
}

#[test]
fn unanswered_probe_is_not_asked_again_and_one_that_errs_counts_nothing() {
    let mut pod = probed(json!({"livenessProbe": probe(json!({"failureThreshold": 1}))}));
    let mut facts = facts(vec![running("main", 0, 0)]);
    assert_eq!(step(&mut pod, &facts, 0).actions, [ask(Probe::Liveness)]);
    facts.note_asked("main", 0, Probe::Liveness, at(0));
    let made = step(&mut pod, &facts, 100);
    assert_eq!((made.actions, made.wake_at), (vec![], None));
    let made = answer(&mut pod, &mut facts, Probe::Liveness, Answer::Error("no such file".to_owned()), 100);
    let message = "Liveness probe errored and resulted in unknown state: no such file".to_owned();
    assert_eq!(made.events, [News::warning("Unhealthy", message).of("main")]);
    assert_eq!((made.actions, made.wake_at), (vec![], Some(at(110))));
    let made = answer(&mut pod, &mut facts, Probe::Liveness, Answer::Warning("elsewhere".to_owned()), 110);
    assert_eq!(made.events, [News::warning("ProbeWarning", "Liveness probe warning: elsewhere").of("main")]);
}

#[test]
fn container_that_is_not_alive_is_ended_with_its_probes_grace_and_started_again_whatever_its_code() {
    let liveness = probe(json!({"failureThreshold": 2, "terminationGracePeriodSeconds": 7}));
    let mut pod = probed(json!({"livenessProbe": liveness}));
    pod["spec"]["restartPolicy"] = json!("OnFailure");
    let mut facts = facts(vec![running("main", 0, 0)]);
    step(&mut pod, &facts, 0);
    answer(&mut pod, &mut facts, Probe::Liveness, no("1"), 0);
    let made = answer(&mut pod, &mut facts, Probe::Liveness, no("2"), 10);
    let killing = "Container main failed liveness probe, will be restarted".to_owned();
    assert_eq!(made.events.last(), Some(&News::normal("Killing", killing).of("main")));
    assert_eq!((made.actions, made.wake_at), (vec![signal("main", 0, 15)], Some(at(17))));
    assert_eq!(step(&mut pod, &facts, 17).actions, [signal("main", 0, 9)]);
    facts.runs = vec![ended("main", 0, 0, 0, 17)];
    let made = step(&mut pod, &facts, 17);
    assert_eq!((made.actions, &pod["status"]["phase"]), (vec![start("main", 1)], &json!("Running")));
    // Its next run is asked anew.
    facts.runs.push(running("main", 1, 18));
    let probe = Probe::Liveness;
    let made = step(&mut pod, &facts, 18);
    assert_eq!(made.actions, [Action::Probe { container: "main".to_owned(), attempt: 1, probe }]);
}

#[test]
fn container_that_waits_to_be_restarted_after_its_probe_ended_it_does_so_under_a_new_engine() {
    let mut pod = probed(json!({"livenessProbe": probe(json!({"failureThreshold": 1}))}));
    pod["spec"]["restartPolicy"] = json!("OnFailure");
    let mut facts = facts(vec![ended("main", 0, 1, 0, 5), running("main", 1, 5)]);
    step(&mut pod, &facts, 5);
    facts.note_asked("main", 1, Probe::Liveness, at(6));
    facts.note_answer(&pod, ("main", 1, Probe::Liveness), &no("1"), at(6));
    hear(&mut pod, &mut facts, 6);
    // It ends well, and waits for its next turn.
    facts.runs[1] = ended("main", 1, 0, 5, 7);
    let made = step(&mut pod, &facts, 7);
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "CrashLoopBackOff");
    let again = made.wake_at.unwrap().as_second() - at(0).as_second();
    let runs = facts.runs.clone();
    let new = Facts { runs, ..Facts::default() };
    assert_eq!(step(&mut pod, &new, 8).actions, []);
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(step(&mut pod, &new, again).actions, [start("main", 2)]);
}

#[test]
fn container_that_is_not_alive_and_never_restarts_ends_its_pod() {
    let mut pod = probed(json!({"livenessProbe": probe(json!({"failureThreshold": 1}))}));
    pod["spec"]["restartPolicy"] = json!("Never");
    let mut facts = facts(vec![running("main", 0, 0)]);
    step(&mut pod, &facts, 0);
    let made = answer(&mut pod, &mut facts, Probe::Liveness, no("dead"), 0);
    let killing = "Container main failed liveness probe".to_owned();
    assert_eq!(made.events.last(), Some(&News::normal("Killing", killing).of("main")));
    assert_eq!(made.wake_at, Some(at(30)));
    facts.runs = vec![ended("main", 0, 143, 0, 1)];
    assert_eq!(step(&mut pod, &facts, 1).actions, []);
    assert_eq!(pod["status"]["phase"], "Failed");
}

#[test]
fn nothing_else_is_asked_before_a_container_has_come_up() {
    let all = probe(json!({}));
    let mut pod = probed(json!({"startupProbe": all, "readinessProbe": all, "livenessProbe": all}));
    let mut facts = facts(vec![running("main", 0, 0)]);
    assert_eq!(step(&mut pod, &facts, 0).actions, [ask(Probe::Startup)]);
    assert_eq!(main_status(&pod), (NO, NO));
    let made = answer(&mut pod, &mut facts, Probe::Startup, Answer::Success, 0);
    assert_eq!(made.actions, [ask(Probe::Readiness), ask(Probe::Liveness)]);
    assert_eq!(main_status(&pod), (NO, YES));
    assert_eq!(
        answer(&mut pod, &mut facts, Probe::Readiness, Answer::Success, 0).actions,
        [ask(Probe::Liveness)]
    );
    assert_eq!(main_status(&pod), (YES, YES));
}

#[test]
fn container_that_does_not_come_up_is_ended() {
    let mut pod = probed(json!({"startupProbe": probe(json!({"failureThreshold": 1}))}));
    let mut facts = facts(vec![running("main", 0, 0)]);
    step(&mut pod, &facts, 0);
    let made = answer(&mut pod, &mut facts, Probe::Startup, no("late"), 0);
    let killing = "Container main failed startup probe, will be restarted".to_owned();
    assert_eq!(made.events.last(), Some(&News::normal("Killing", killing).of("main")));
    assert_eq!(made.actions, [signal("main", 0, 15)]);
}

#[test]
fn sidecar_lets_the_next_one_begin_when_it_has_come_up() {
    let sidecar = json!({"name": "main", "restartPolicy": "Always", "startupProbe": probe(json!({}))});
    let mut pod = pod(json!({"initContainers": [sidecar], "containers": [{"name": "app"}]}));
    let mut facts = facts(vec![running("main", 0, 0)]);
    assert_eq!(step(&mut pod, &facts, 0).actions, [ask(Probe::Startup)]);
    assert_eq!(condition(&pod, "Initialized")["message"], "containers with incomplete status: [main]");
    assert_eq!(pod["status"]["phase"], "Pending");
    let made = answer(&mut pod, &mut facts, Probe::Startup, Answer::Success, 0);
    assert_eq!(made.actions, [start("app", 0)]);
    assert_eq!(condition(&pod, "Initialized")["status"], "True");
}

#[test]
fn pod_that_goes_is_asked_only_whether_it_is_ready() {
    let all = probe(json!({"failureThreshold": 1}));
    let mut pod = probed(json!({"readinessProbe": all, "livenessProbe": all}));
    let mut facts = facts(vec![running("main", 0, 0)]);
    step(&mut pod, &facts, 0);
    facts.note_asked("main", 0, Probe::Liveness, at(0));
    pod["metadata"]["deletionTimestamp"] = json!(super::super::standing::time(at(30)));
    let made = step(&mut pod, &facts, 1);
    assert_eq!(made.actions, [signal("main", 0, 15), ask(Probe::Readiness)]);
    facts.note_answer(&pod, ("main", 0, Probe::Liveness), &no("dying"), at(1));
    assert_eq!(facts.news, [], "that it does not answer any more is no news");
}

#[test]
fn engine_that_comes_new_does_not_doubt_what_was_ready() {
    let all = probe(json!({}));
    let mut pod = probed(json!({"startupProbe": all, "readinessProbe": all}));
    let mut facts = facts(vec![running("main", 0, 0)]);
    step(&mut pod, &facts, 0);
    answer(&mut pod, &mut facts, Probe::Startup, Answer::Success, 0);
    answer(&mut pod, &mut facts, Probe::Readiness, Answer::Success, 0);
    facts.probes.clear();
    let made = step(&mut pod, &facts, 5);
    assert_eq!((main_status(&pod), made.actions), ((YES, YES), vec![ask(Probe::Readiness)]));
    // Another run is not this one.
    facts.runs = vec![ended("main", 0, 1, 0, 5), running("main", 1, 5)];
    step(&mut pod, &facts, 6);
    assert_eq!(main_status(&pod), (NO, NO));
}

#[test]
fn answer_of_a_run_that_is_over_counts_nothing() {
    let pod = probed(json!({"livenessProbe": probe(json!({"failureThreshold": 1}))}));
    let mut facts = facts(vec![running("main", 0, 0)]);
    facts.note_asked("main", 0, Probe::Liveness, at(0));
    facts.runs = vec![ended("main", 0, 0, 0, 1)];
    facts.note_answer(&pod, ("main", 0, Probe::Liveness), &no("gone"), at(1));
    facts.note_answer(&pod, ("other", 0, Probe::Liveness), &no("never was"), at(1));
    assert_eq!(facts.news, []);
}

#[test]
fn probe_says_what_is_to_be_done() {
    let pod = |probe: Value| {
        let mut pod = probed(json!({
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {}}],
            "ports": [{"name": "web", "containerPort": 8080}],
            "livenessProbe": probe,
        }));
        pod["status"]["podIP"] = json!("127.0.0.1");
        pod
    };
    let made = |probe: Value| probe_handler(&pod(probe), "main", Probe::Liveness).unwrap();
    let exec = json!({"exec": {"command": ["sh", "-c", "test $(A) = $(B)$(C)"]}, "timeoutSeconds": 4});
    let argv = ["sh", "-c", "test 1 = $(C)"].map(str::to_owned).to_vec();
    assert_eq!(made(exec), (Handler::Exec(argv), 4));
    let tcp = |port: u16| (Handler::Tcp { host: "127.0.0.1".to_owned(), port }, 1);
    assert_eq!(made(json!({"tcpSocket": {"port": "web"}})), tcp(8080));
    assert_eq!(made(json!({"tcpSocket": {"port": "9"}})), tcp(9));
    for (port, why) in [
        (json!("other"), "port other not found"),
        (json!(0), "invalid port number: 0"),
        (json!("70000"), "invalid port number: 70000"),
    ] {
        assert_eq!(made(json!({"tcpSocket": {"port": port}})).0, Handler::Broken(why.to_owned()));
    }
    let headers =
        |list: &[(&str, &str)]| list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let http = |more: HttpGet| (Handler::Http(more), 1);
    let usual = HttpGet {
        is_https: false,
        host: "127.0.0.1".to_owned(),
        port: 8080,
        path: "/".to_owned(),
        headers: headers(&[("User-Agent", "kube-probe/1.36"), ("Accept", "*/*")]),
    };
    assert_eq!(made(json!({"httpGet": {"port": "web"}})), http(usual.clone()));
    let given = json!({"httpGet": {
        "port": 443, "scheme": "HTTPS", "host": "example.test", "path": "up?full=1#top",
        "httpHeaders": [{"name": "accept", "value": ""}, {"name": "X", "value": "y"}],
    }});
    let own = HttpGet {
        is_https: true,
        host: "example.test".to_owned(),
        port: 443,
        path: "/up?full=1".to_owned(),
        headers: headers(&[("X", "y"), ("User-Agent", "kube-probe/1.36")]),
    };
    assert_eq!(made(given), http(own));
    assert_eq!(probe_handler(&probed(json!({})), "main", Probe::Liveness), None);
}
