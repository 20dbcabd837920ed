//! Situations of a pod that comes to others.

#![expect(clippy::needless_pass_by_value, reason = "made by json! where it is used")]

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// Who is there, and what labels the namespaces have.
#[derive(Default)]
struct There {
    pods: Vec<Value>,
    namespaces: BTreeMap<String, Value>,
}

impl Beside for There {
    fn pods<'a>(&'a self, of: Option<&'a str>) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
        let is_of = move |pod: &&Value| of.is_none_or(|of| pod["metadata"]["namespace"] == of);
        Box::new(self.pods.iter().filter(is_of).map(|pod| pod as &dyn Fields))
    }
    fn with_ports<'a>(&'a self) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
        Box::new(self.pods.iter().filter(|pod| has_ports(&pod["spec"])).map(|pod| pod as &dyn Fields))
    }
    fn repelling<'a>(&'a self) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
        Box::new(self.pods.iter().filter(|pod| repels(&pod["spec"])).map(|pod| pod as &dyn Fields))
    }
    fn labels_of(&self, namespace: &str) -> &Value {
        self.namespaces.get(namespace).unwrap_or(&Value::Null)
    }
}

fn node() -> Node {
    Node {
        name: "laptop".into(),
        labels: [("kubernetes.io/hostname".to_owned(), "laptop".to_owned())].into(),
        ..Node::default()
    }
}

fn pod(namespace: &str, labels: Value, spec: Value) -> Value {
    json!({"metadata": {"namespace": namespace, "labels": labels}, "spec": spec})
}

/// A spec with one required term.
fn term(which: &str, term: Value) -> Value {
    let mut whole = json!({"topologyKey": "kubernetes.io/hostname"});
    whole.as_object_mut().unwrap().extend(term.as_object().unwrap().clone());
    json!({"affinity": {which: {REQUIRED: [whole]}}})
}

fn app(name: &str) -> Value {
    json!({"matchLabels": {"app": name}})
}

fn comes(pod: &Value, there: &[Value]) -> Option<Quarrel> {
    quarrel(pod, &node(), &There { pods: there.to_vec(), ..There::default() })
}

#[test]
fn pod_that_insists_on_others_comes_when_one_is_there_or_when_it_is_its_own_company() {
    let wants = term("podAffinity", json!({"labelSelector": app("db")}));
    let coming = pod("n", json!({"app": "web"}), wants.clone());
    let db = |namespace: &str| pod(namespace, json!({"app": "db"}), json!({}));
    assert_eq!(comes(&coming, &[]), Some(Quarrel::Affinity));
    assert_eq!(comes(&coming, &[db("other")]), Some(Quarrel::Affinity), "in another namespace");
    assert_eq!(comes(&coming, &[db("n")]), None);
    assert_eq!(comes(&pod("n", json!({"app": "db"}), wants), &[]), None, "the first of its kind");
    let mut elsewhere = coming.clone();
    elsewhere["spec"]["affinity"]["podAffinity"][REQUIRED][0]["topologyKey"] = json!("zone");
    assert_eq!(comes(&elsewhere, &[db("n")]), Some(Quarrel::Affinity), "the node has no such label");
    let two = json!({"affinity": {"podAffinity": {REQUIRED: [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": app("db")},
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": app("cache")}]}}});
    let cache = pod("n", json!({"app": "cache"}), json!({}));
    let both = pod("n", json!({}), two);
    assert_eq!(
        comes(&both, &[db("n"), cache]),
        Some(Quarrel::Affinity),
        "one must be all of them, as upstream"
    );
}

#[test]
fn pods_that_insist_on_being_apart_are_never_together_whoever_comes_first() {
    let apart = term("podAntiAffinity", json!({"labelSelector": app("train")}));
    let one = pod("n", json!({"app": "train"}), apart.clone());
    let other = pod("n", json!({"app": "train"}), json!({}));
    assert_eq!(comes(&one, &[]), None);
    assert_eq!(comes(&one, std::slice::from_ref(&other)), Some(Quarrel::AntiAffinity));
    assert_eq!(comes(&other, std::slice::from_ref(&one)), Some(Quarrel::Repelled));
    assert_eq!(comes(&pod("n", json!({"app": "web"}), json!({})), std::slice::from_ref(&one)), None);
    assert_eq!(comes(&pod("m", json!({"app": "train"}), json!({})), &[one]), None, "another namespace");
    let mut elsewhere = apart;
    elsewhere["affinity"]["podAntiAffinity"][REQUIRED][0]["topologyKey"] = json!("zone");
    assert_eq!(comes(&pod("n", json!({}), elsewhere), &[other]), None, "the node is in no zone");
}

#[test]
fn term_may_name_namespaces_select_them_or_mean_all() {
    let there = There {
        pods: vec![pod("far", json!({"app": "db"}), json!({}))],
        namespaces: [("far".to_owned(), json!({"team": "red"}))].into(),
    };
    let cases = [
        (json!({"namespaces": ["far"]}), true),
        (json!({"namespaces": ["n"]}), false),
        (json!({"namespaceSelector": {}}), true),
        (json!({"namespaceSelector": {"matchLabels": {"team": "red"}}}), true),
        (
            json!({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["red"]}]}}),
            false,
        ),
        (json!({"namespaces": ["n"], "namespaceSelector": {"matchLabels": {"team": "red"}}}), true),
    ];
    for (mut extra, meets) in cases {
        extra["labelSelector"] = app("db");
        let coming = pod("n", json!({}), term("podAntiAffinity", extra.clone()));
        assert_eq!(quarrel(&coming, &node(), &there).is_some(), meets, "{extra}");
    }
}

#[test]
fn keys_of_labels_compare_a_pod_with_itself() {
    let like = |key: &str| term("podAntiAffinity", json!({"labelSelector": {}, key: ["run"]}));
    let other = |run: &str| pod("n", json!({"run": run}), json!({}));
    let same = pod("n", json!({"run": "a"}), like("matchLabelKeys"));
    assert_eq!(comes(&same, &[other("a")]), Some(Quarrel::AntiAffinity));
    assert_eq!(comes(&same, &[other("b")]), None);
    let different = pod("n", json!({"run": "a"}), like("mismatchLabelKeys"));
    assert_eq!(comes(&different, &[other("a")]), None);
    assert_eq!(comes(&different, &[other("b")]), Some(Quarrel::AntiAffinity));
    let nothing = pod("n", json!({}), term("podAntiAffinity", json!({})));
    assert_eq!(comes(&nothing, &[other("a")]), None, "no selector selects nobody");
}

#[test]
fn host_port_is_one_pods_at_a_time() {
    let with = |port: Value| pod("n", json!({}), json!({"containers": [{"ports": [port]}]}));
    let plain = with(json!({"containerPort": 80, "hostPort": 8080}));
    for (port, clashes) in [
        (json!({"containerPort": 1, "hostPort": 8080, "protocol": "TCP"}), true),
        (json!({"containerPort": 1, "hostPort": 8080, "hostIP": "127.0.0.1"}), true),
        (json!({"containerPort": 1, "hostPort": 8080, "protocol": "UDP"}), false),
        (json!({"containerPort": 8080}), false),
        (json!({"containerPort": 1, "hostPort": 8081}), false),
    ] {
        let expected = clashes.then_some(Quarrel::Ports);
        assert_eq!(comes(&with(port.clone()), std::slice::from_ref(&plain)), expected, "{port}");
        assert_eq!(comes(&plain, &[with(port.clone())]), expected, "{port}");
    }
    let at = |ip: &str| with(json!({"hostPort": 1, "hostIP": ip}));
    assert_eq!(comes(&at("127.0.0.1"), &[at("127.0.0.2")]), None);
    let sidecar = pod(
        "n",
        json!({}),
        json!({"initContainers": [
        {"restartPolicy": "Always", "ports": [{"hostPort": 8080}]}, {"ports": [{"hostPort": 9}]}]}),
    );
    assert_eq!(comes(&sidecar, &[plain]), Some(Quarrel::Ports));
    assert_eq!(comes(&sidecar, &[with(json!({"hostPort": 9}))]), None, "it has ended by then");
}

#[test]
fn spreading_over_more_nodes_than_one_lets_in_as_many_as_the_skew() {
    let spread = |extra: Value| {
        let mut whole = json!({"maxSkew": 2, "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": app("w"), "minDomains": 3});
        whole.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        pod("n", json!({"app": "w", "run": "a"}), json!({"topologySpreadConstraints": [whole]}))
    };
    let like = |run: &str| pod("n", json!({"app": "w", "run": run}), json!({}));
    let mut going = like("a");
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let strict = spread(json!({}));
    assert_eq!(comes(&strict, &[like("a")]), None);
    assert_eq!(comes(&strict, &[like("a"), like("b")]), Some(Quarrel::Spread));
    assert_eq!(comes(&strict, &[like("a"), going]), None, "one that goes does not count");
    assert_eq!(comes(&strict, &[like("a"), pod("m", json!({"app": "w"}), json!({}))]), None);
    let many = [like("a"), like("b"), like("c")];
    assert_eq!(comes(&spread(json!({"minDomains": 1})), &many), None, "one node is even");
    assert_eq!(comes(&spread(json!({"whenUnsatisfiable": "ScheduleAnyway"})), &many), None);
    assert_eq!(comes(&spread(json!({"matchLabelKeys": ["run"]})), &many), None, "one of its run is there");
    assert_eq!(comes(&spread(json!({"labelSelector": null, "maxSkew": 1})), &many), None);
}
