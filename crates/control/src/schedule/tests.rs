//! Situations of a pod that is to run on the one node.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn node(images: Images) -> Node {
    let labels = [("kubernetes.io/hostname", "laptop"), ("cores", "8")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Node { name: "laptop".into(), labels, images, ..Node::default() }
}

fn pod(spec: Value) -> Value {
    let mut whole = json!({"containers": [{"name": "c", "image": "i", "command": ["true"]}]});
    let Value::Object(spec) = spec else { panic!("not an object: {spec}") };
    whole.as_object_mut().unwrap().extend(spec);
    json!({"metadata": {"name": "p", "namespace": "n"}, "spec": whole, "status": {"phase": "Pending"}})
}

fn host(spec: Value) -> Value {
    let mut pod = pod(spec);
    pod["spec"]["runtimeClassName"] = "windlass-host".into();
    pod
}

/// What is decided on a node with room for everything.
fn plan(pod: &Value, node: &Node, now: Timestamp) -> Option<Plan> {
    match stand(pod, node, now) {
        Stand::Settled => None,
        Stand::Refused(plan) => plan,
        Stand::Placed(plan) => Some(plan),
        Stand::Open(_) => Some(bind(pod, node, now)),
    }
}

/// Why the pod waits; empty if it is bound.
fn why(pod: &Value, node: &Node) -> String {
    match plan(pod, node, at(1)).unwrap().decision {
        Decision::Bind { .. } => String::new(),
        Decision::Wait { message, .. } => message,
    }
}

#[test]
fn host_pod_is_bound_once() {
    let mut pod = host(json!({}));
    let bound = plan(&pod, &node(Images::Wait), at(1)).unwrap();
    assert_eq!(bound.decision, Decision::Bind { node: "laptop".into() });
    let event =
        Event { warning: false, reason: "Scheduled", message: "Successfully assigned n/p to laptop".into() };
    assert_eq!(bound.events, [event]);
    assert_eq!(
        bound.condition,
        json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": at(1)})
    );
    pod["spec"]["nodeName"] = "laptop".into();
    pod["status"]["conditions"] = json!([bound.condition]);
    pod["status"]["startTime"] = json!(at(1));
    assert_eq!(plan(&pod, &node(Images::Wait), at(2)), None);
}

#[test]
fn pod_that_somebody_else_has_bound_is_asked_by_the_node() {
    let mut bound = host(json!({"nodeName": "laptop"}));
    bound["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "True"}]);
    assert!(matches!(stand(&bound, &node(Images::Wait), at(1)), Stand::Placed(_)));
    let mut image = pod(json!({"nodeName": "laptop"}));
    image["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "True"}]);
    assert!(why(&image, &node(Images::Wait)).contains("this pod needs a container"));
}

#[test]
fn pod_that_needs_a_container_waits_and_says_what_to_do() {
    let pod = pod(json!({}));
    let waits = plan(&pod, &node(Images::Wait), at(1)).unwrap();
    let message = "0/1 nodes are available: this pod needs a container, and this node runs host processes: \
                   set runtimeClassName: windlass-host, or start the engine with `windlass up --images=host`.";
    assert_eq!(waits.decision, Decision::Wait { reason: "Unschedulable", message: message.into() });
    assert_eq!(
        (&waits.condition["status"], &waits.condition["reason"]),
        (&json!("False"), &json!("Unschedulable"))
    );
    assert_eq!(waits.condition["message"], message);
    assert_eq!(waits.events, [Event { warning: true, reason: "FailedScheduling", message: message.into() }]);
}

#[test]
fn waiting_for_the_same_reason_is_said_once_and_another_reason_keeps_the_time() {
    let mut pod = pod(json!({}));
    let waits = plan(&pod, &node(Images::Wait), at(1)).unwrap();
    pod["status"]["conditions"] = json!([waits.condition]);
    assert_eq!(plan(&pod, &node(Images::Wait), at(2)), None);
    pod["spec"]["nodeSelector"] = json!({"gpu": "yes"});
    let again = plan(&pod, &node(Images::Wait), at(3)).unwrap();
    assert_eq!(again.condition["lastTransitionTime"], json!(at(1)), "it has waited since then");
    pod["spec"]["nodeSelector"] = json!({});
    let bound = plan(&pod, &node(Images::Host), at(4)).unwrap();
    assert_eq!(bound.condition["lastTransitionTime"], json!(at(4)));
    assert_eq!(bound.condition.get("reason"), None);
}

#[test]
fn images_on_the_host_run_with_a_warning() {
    let bound = plan(&pod(json!({})), &node(Images::Host), at(1)).unwrap();
    assert_eq!(bound.decision, Decision::Bind { node: "laptop".into() });
    assert_eq!(
        bound.events.iter().map(|event| event.reason).collect::<Vec<_>>(),
        ["Scheduled", "ImageRunOnHost"]
    );
    assert!(bound.events[1].warning && bound.events[1].message.ends_with("without the files of i"));
}

#[test]
fn args_alone_are_the_command_of_an_image_on_the_host() {
    let mut pod = pod(json!({}));
    pod["spec"]["containers"] = json!([{"name": "c", "image": "i", "args": ["cat"]}]);
    let bound = plan(&pod, &node(Images::Host), at(1)).unwrap();
    let told = &bound.events[1].message;
    assert!(told.ends_with("there is no entrypoint: the args of container c are the command"), "{told}");

    let message = why(&host(pod["spec"].clone()), &node(Images::Host));
    assert!(message.contains("container c has no command, and a host process"), "{message}");
}

#[test]
fn what_the_host_cannot_provide_is_refused_by_name() {
    let spec = json!({
        "securityContext": {"runAsUser": 1000, "fsGroup": 1000},
        "initContainers": [{"name": "bare", "image": "i"}],
        "containers": [{
            "name": "c", "image": "i", "command": ["sh"], "volumeDevices": [{"name": "data", "devicePath": "/dev/data"}],
            "securityContext": {"privileged": true, "capabilities": {"drop": ["ALL"]}},
        }],
    });
    let message = why(&pod(spec), &node(Images::Host));
    for part in [
        "container bare has no command",
        "container c has a device at /dev/data",
        "spec.securityContext.fsGroup",
        "securityContext of container c.privileged",
    ] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert!(!message.contains("capabilities") && !message.contains("runAsUser"), "{message}");
}

#[test]
fn host_pod_without_a_command_is_refused_too() {
    let message = why(&host(json!({"containers": [{"name": "c", "image": "host"}]})), &node(Images::Wait));
    assert!(message.contains("container c has no command"), "{message}");
}

#[test]
fn unknown_runtime_class_is_refused_even_if_images_run() {
    let mut pod = pod(json!({}));
    pod["spec"]["runtimeClassName"] = "gvisor".into();
    let message = why(&pod, &node(Images::Host));
    assert!(message.contains("no runtime class gvisor") && message.contains("windlass-host"), "{message}");
}

#[test]
fn gated_pod_is_left_alone() {
    let gated = host(json!({"schedulingGates": [{"name": "a"}, {"name": "b"}]}));
    assert_eq!(plan(&gated, &node(Images::Wait), at(1)), None);
}

#[test]
fn node_selector_names_the_label_that_is_missing() {
    let bound = host(json!({"nodeSelector": {"kubernetes.io/hostname": "laptop"}}));
    assert_eq!(why(&bound, &node(Images::Wait)), "");
    let message = why(&host(json!({"nodeSelector": {"gpu": "yes"}})), &node(Images::Wait));
    assert!(message.contains("gpu=yes, which laptop does not have"), "{message}");
    let message = why(&host(json!({"nodeSelector": {"cores": "16"}})), &node(Images::Wait));
    assert!(message.contains("cores=16, and laptop has cores=8"), "{message}");
}

#[test]
fn required_affinity_is_an_or_of_ands() {
    let requirement = |key: &str, operator: &str, values: &[&str]| json!({"key": key, "operator": operator, "values": values});
    let fits = |terms: Value| {
        let required = json!({"nodeSelectorTerms": terms});
        let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}});
        why(&host(json!({"affinity": affinity})), &node(Images::Wait)).is_empty()
    };
    let labels = |requirements: &[Value]| json!({"matchExpressions": requirements});
    for (operator, values, holds) in [
        ("In", &["4", "8"][..], true),
        ("In", &["4"], false),
        ("NotIn", &["4"], true),
        ("NotIn", &["8"], false),
        ("Exists", &[], true),
        ("DoesNotExist", &[], false),
        ("Gt", &["7"], true),
        ("Gt", &["8"], false),
        ("Lt", &["9"], true),
        ("Lt", &["x"], false),
        ("Like", &["8"], false),
    ] {
        assert_eq!(
            fits(json!([labels(&[requirement("cores", operator, values)])])),
            holds,
            "{operator} {values:?}"
        );
    }
    let (good, bad) = (requirement("cores", "Exists", &[]), requirement("gpu", "Exists", &[]));
    assert!(!fits(json!([labels(&[good.clone(), bad.clone()])])));
    assert!(fits(json!([labels(&[bad]), labels(&[good])])));
    assert!(!fits(json!([])) && !fits(json!([{}])));
    assert!(fits(json!([{"matchFields": [requirement("metadata.name", "In", &["laptop"])]}])));
    assert!(!fits(json!([{"matchFields": [requirement("metadata.name", "In", &["other"])]}])));
}

#[test]
fn pod_that_names_its_node_is_bound_without_a_scheduling_event() {
    let mut pod = host(json!({"nodeName": "laptop"}));
    let bound = plan(&pod, &node(Images::Wait), at(1)).unwrap();
    assert_eq!((bound.decision, bound.events), (Decision::Bind { node: "laptop".into() }, vec![]));
    pod["spec"]["nodeName"] = "other".into();
    assert!(why(&pod, &node(Images::Wait)).contains("spec.nodeName is other, and the only node is laptop"));
}

#[test]
fn cordoned_node_takes_no_new_pods_unless_they_tolerate_it() {
    let cordoned = Node { unschedulable: true, ..node(Images::Wait) };
    assert!(why(&host(json!({})), &cordoned).contains("1 node(s) were unschedulable"));
    for toleration in [
        json!({"operator": "Exists"}),
        json!({"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}),
    ] {
        assert_eq!(why(&host(json!({"tolerations": [toleration]})), &cordoned), "");
    }
    let other = json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"});
    assert_ne!(why(&host(json!({"tolerations": [other]})), &cordoned), "");
    assert_eq!(why(&host(json!({"nodeName": "laptop"})), &cordoned), "");
}

#[test]
fn pod_for_another_scheduler_waits_and_says_so() {
    let message = why(&host(json!({"schedulerName": "mine"})), &node(Images::Wait));
    assert!(message.contains("this engine has only default-scheduler"), "{message}");
    assert_eq!(why(&host(json!({"schedulerName": "default-scheduler"})), &node(Images::Wait)), "");
}

#[test]
fn pod_that_ended_or_goes_is_not_scheduled() {
    let mut ended = host(json!({}));
    ended["status"]["phase"] = "Failed".into();
    assert_eq!(plan(&ended, &node(Images::Wait), at(1)), None);
    let mut goes = host(json!({}));
    goes["metadata"]["deletionTimestamp"] = json!(at(1));
    assert_eq!(plan(&goes, &node(Images::Wait), at(1)), None);
}

#[test]
fn pod_without_room_waits_in_upstreams_words_and_says_so_once() {
    let mut pod = host(json!({}));
    let lack = |resource: &str, is_hopeless| Lack { resource: resource.to_owned(), is_hopeless };
    let lacks = [lack("nvidia.com/gpu", false), lack("cpu", false), lack("pods", false)];
    let waits = short(&pod, &lacks, false, at(1)).unwrap();
    assert_eq!(
        waits.condition["message"],
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient nvidia.com/gpu, 1 Too many pods. no new claims to \
         deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    );
    assert_eq!(waits.events[0].reason, "FailedScheduling");
    pod["status"]["conditions"] = json!([waits.condition]);
    assert_eq!(short(&pod, &lacks, false, at(2)), None);
    let hopeless = short(&pod, &[lack("cpu", true)], false, at(3)).unwrap();
    let message = hopeless.condition["message"].as_str().unwrap();
    assert!(message.ends_with("1 Preemption is not helpful for scheduling."), "{message}");
    let ends = |pod: &Value, has_victims| {
        let told = short(pod, &lacks, has_victims, at(4)).unwrap().condition["message"].clone();
        told.as_str().unwrap().rsplit_once("preemption: ").unwrap().1.to_owned()
    };
    assert_eq!(
        ends(&pod, true),
        "pods of lower priority hold what it asks for, and this engine ends none for another's sake."
    );
    pod["spec"]["preemptionPolicy"] = "Never".into();
    assert_eq!(ends(&pod, true), "not eligible due to preemptionPolicy=Never.");
}

#[test]
fn who_cannot_be_beside_others_is_told_in_the_words_of_the_scheduler() {
    let mut pod = host(json!({}));
    let told = |pod: &Value, quarrel| apart(pod, quarrel, at(1)).unwrap().condition["message"].clone();
    assert_eq!(
        told(&pod, Quarrel::Affinity),
        "0/1 nodes are available: 1 node(s) didn't match pod affinity rules. no new claims to deallocate, preemption: \
         0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
    assert_eq!(
        told(&pod, Quarrel::Ports),
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. no new claims to \
         deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    );
    pod["status"]["conditions"] = json!([apart(&pod, Quarrel::Spread, at(1)).unwrap().condition]);
    assert_eq!(apart(&pod, Quarrel::Spread, at(2)), None, "it is told once");
}

#[test]
fn scheduler_of_somebody_else_is_waited_for_and_its_binding_counts() {
    let mut foreign = host(json!({"schedulerName": "theirs"}));
    assert!(why(&foreign, &node(Images::Wait)).contains("spec.schedulerName is theirs"));
    foreign["spec"]["nodeName"] = "laptop".into();
    assert!(matches!(stand(&foreign, &node(Images::Wait), at(1)), Stand::Placed(_)));
}

#[test]
fn pods_can_be_spread_by_labels_that_the_node_has() {
    let spread = |key: &str, how: &str| {
        host(
            json!({"topologySpreadConstraints": [{"topologyKey": key, "whenUnsatisfiable": how, "maxSkew": 1}]}),
        )
    };
    assert_eq!(why(&spread("cores", "DoNotSchedule"), &node(Images::Wait)), "");
    assert_eq!(why(&spread("zone", "ScheduleAnyway"), &node(Images::Wait)), "");
    assert_eq!(
        why(&spread("zone", "DoNotSchedule"), &node(Images::Wait)),
        "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label)."
    );
}

#[test]
fn taint_keeps_out_whoever_does_not_tolerate_it_or_names_the_node() {
    let mut node = node(Images::Wait);
    node.taints = vec![json!({"key": "gpu", "value": "only", "effect": "NoSchedule"})];
    assert_eq!(why(&host(json!({})), &node), "0/1 nodes are available: 1 node(s) had untolerated taint(s).");
    let tolerates = host(json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]}));
    assert!(matches!(stand(&tolerates, &node, at(1)), Stand::Open(_)));
    let named = host(json!({"nodeName": node.name}));
    assert!(matches!(stand(&named, &node, at(1)), Stand::Placed(_)));
}

#[test]
fn pod_that_is_bound_and_does_not_match_is_sent_away() {
    let no_clash = || false;
    let taint = json!({"key": "k", "value": "v", "effect": "NoExecute"});
    let tainted = Node { taints: vec![taint.clone()], ..node(Images::Wait) };
    let bound = |spec: Value| {
        let mut pod = host(spec);
        pod["spec"]["nodeName"] = "laptop".into();
        assert!(matches!(stand(&pod, &tainted, at(1)), Stand::Placed(_)), "it does not wait: {pod}");
        pod
    };
    let check = |pod: &Value, node: &Node, expect: Option<(&str, &str)>| {
        let told = rejection(pod, node, None, no_clash);
        assert_eq!(told.as_ref().map(|of| (of.reason.as_str(), of.message.as_str())), expect, "{pod}");
    };
    check(&bound(json!({"nodeSelector": {"cores": "8"}})), &node(Images::Wait), None);
    check(
        &bound(json!({"nodeSelector": {"gpu": "yes"}})),
        &tainted,
        Some((
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        )),
    );
    check(
        &bound(json!({})),
        &tainted,
        Some(("TaintToleration", "Predicate TaintToleration failed: node(s) had untolerated taint(s)")),
    );
    let patient = json!({"tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": 5}]});
    check(&bound(patient), &tainted, None);
    check(
        &bound(json!({"os": {"name": "windows"}})),
        &tainted,
        Some(("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")),
    );
    check(&bound(json!({"os": {"name": "linux"}})), &node(Images::Wait), None);
    let mut labelled = bound(json!({}));
    labelled["metadata"]["labels"] = json!({"kubernetes.io/os": "windows"});
    check(
        &labelled,
        &node(Images::Wait),
        Some((
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        )),
    );
    let ports = rejection(&bound(json!({})), &tainted, None, || true).unwrap();
    assert_eq!(
        ports.message,
        "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    );
}

#[test]
fn scheduler_does_not_ask_for_which_system_a_pod_is() {
    let windows = host(json!({"os": {"name": "windows"}}));
    assert!(matches!(stand(&windows, &node(Images::Wait), at(1)), Stand::Open(_)));
    assert_eq!(of_another_system(&windows).unwrap().reason, "PodOSNotSupported");
}

#[test]
fn names_and_claims_that_no_host_process_has_are_refused() {
    for (spec, told) in [
        (json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"]}}), "spec.dnsPolicy is None"),
        (
            json!({"dnsPolicy": "Default", "dnsConfig": {"nameservers": ["1.1.1.1"]}}),
            "spec.dnsConfig.nameservers",
        ),
        (json!({"dnsConfig": {"searches": ["example.com"]}}), "spec.dnsConfig.searches is set"),
        (json!({"setHostnameAsFQDN": true, "subdomain": "s"}), "spec.setHostnameAsFQDN is set"),
        (json!({"hostAliases": [{"ip": "127.0.0.1"}]}), "spec.hostAliases is set"),
        (json!({"resourceClaims": [{"name": "c", "resourceClaimName": "r"}]}), "spec.resourceClaims is set"),
    ] {
        assert!(why(&host(spec.clone()), &node(Images::Wait)).contains(told), "{spec}");
        assert!(why(&pod(spec.clone()), &node(Images::Host)).contains(told), "{spec}");
    }
    for spec in [
        json!({"dnsPolicy": "ClusterFirst"}),
        json!({"dnsPolicy": "Default", "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}}),
        json!({"setHostnameAsFQDN": true}),
        json!({"hostnameOverride": "h", "subdomain": "s", "hostAliases": [], "resourceClaims": []}),
    ] {
        assert_eq!(why(&host(spec.clone()), &node(Images::Wait)), "", "{spec}");
    }
}

#[test]
fn condition_tells_the_generation_that_was_seen() {
    let mut pod = host(json!({}));
    pod["metadata"]["generation"] = 3.into();
    assert_eq!(plan(&pod, &node(Images::Wait), at(1)).unwrap().condition["observedGeneration"], 3);
    pod["spec"]["nodeSelector"] = json!({"gpu": "yes"});
    assert_eq!(plan(&pod, &node(Images::Wait), at(1)).unwrap().condition["observedGeneration"], 3);
}

#[test]
fn every_obstacle_is_named() {
    let message =
        why(&pod(json!({"nodeSelector": {"gpu": "yes"}, "schedulerName": "mine"})), &node(Images::Wait));
    assert_eq!(message.matches("; ").count(), 2, "{message}");
}

fn played(fate: &str) -> Value {
    let mut pod = pod(json!({"containers": [{"name": "c", "image": "i"}]}));
    pod["metadata"]["annotations"] = json!({"fate.windlass.dev/pod": fate});
    pod["metadata"]["creationTimestamp"] = json!(at(100));
    pod
}

#[test]
fn pod_that_is_played_needs_nothing_of_the_host_and_that_is_told() {
    let plan = plan(&played("exit: 0"), &node(Images::Wait), at(100)).unwrap();
    assert_eq!(plan.decision, Decision::Bind { node: "laptop".into() });
    let reasons: Vec<&str> = plan.events.iter().map(|event| event.reason).collect();
    assert_eq!(reasons, ["Scheduled", "FateScripted"]);
    let elsewhere = json!({"kubernetes.io/hostname": "elsewhere"});
    let mut picky = played("exit: 0");
    picky["spec"]["nodeSelector"] = elsewhere;
    assert!(!why(&picky, &node(Images::Wait)).is_empty(), "what is asked of nodes still counts");
}

#[test]
fn pod_whose_fate_it_is_finds_no_node_until_its_time() {
    let pod = played("unschedulable: {message: no room, for: 1m}");
    assert_eq!(unschedulable_until(&pod), Some((Some(at(160)), Some("no room".to_owned()))));
    let waits = plan(&pod, &node(Images::Wait), at(159)).unwrap();
    assert_eq!(
        (&waits.condition["reason"], &waits.condition["message"]),
        (&json!("Unschedulable"), &json!("no room"))
    );
    assert_eq!(waits.events[0].reason, "FailedScheduling");
    assert_eq!(why(&pod, &node(Images::Wait)), "no room");
    assert!(matches!(stand(&pod, &node(Images::Wait), at(160)), Stand::Open(_)));
    assert!(matches!(
        stand(&played("unschedulable: true"), &node(Images::Wait), at(9_999_999)),
        Stand::Refused(_)
    ));
}
