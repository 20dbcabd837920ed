//! Arguments and environment, case by case.

#![expect(clippy::needless_pass_by_value, reason = "situations read better with their values in place")]

use std::path::Path;

use serde_json::json;

use super::*;
use crate::volumes::{Content, File, HostKind};

struct Objects;

impl Lookup for Objects {
    fn claim(&self, name: &str) -> Option<Value> {
        let phase = match name {
            "data" => "Bound",
            "late" => "Pending",
            _ => return None,
        };
        Some(json!({"spec": {"volumeName": "pv"}, "status": {"phase": phase}}))
    }

    fn volume(&self, name: &str) -> Option<Value> {
        (name == "pv").then(|| json!({"spec": {"hostPath": {"path": "/srv/data", "type": "Directory"}}}))
    }

    fn config_map(&self, name: &str) -> Option<Value> {
        (name == "cm").then(|| json!({"data": {"a": "1", "b": "two", "bad=name": "x"}}))
    }

    fn secret(&self, name: &str) -> Option<Value> {
        match name {
            "s" => Some(json!({"data": {"password": "aHVudGVyMg==", "raw": "/2H+/w==", "nul": "YQBi"}})),
            "raw" => Some(json!({"data": {"raw": "/2H+/w=="}})),
            _ => None,
        }
    }

    fn token(&self, audience: Option<&str>, seconds: i64) -> Result<String, String> {
        match audience {
            Some("nobody") => Err("serviceaccounts \"default\" not found".to_owned()),
            audience => Ok(format!("for {audience:?} during {seconds}s")),
        }
    }
}

fn pod(container: Value) -> Value {
    let mut main = json!({"name": "main", "command": ["true"]});
    for (name, value) in container.as_object().unwrap() {
        main[name] = value.clone();
    }
    json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "labels": {"x/y": "label"}},
        "spec": {"nodeName": "here", "serviceAccountName": "default", "containers": [main]},
        "status": {"podIPs": [{"ip": "127.0.0.1"}, {"ip": "::1"}]},
    })
}

fn host() -> Host {
    let env = vec![("PATH".to_owned(), "/bin".into()), ("HOME".to_owned(), "/home/me".into())];
    let allocatable = BTreeMap::from([("cpu".to_owned(), "4".to_owned())]);
    Host {
        env,
        allocatable,
        pids: None,
        uid: 1000,
        gid: 1000,
        groups: vec![1000, 27],
        api: Some(([127, 0, 0, 1], 6443).into()),
    }
}

fn made(container: Value) -> Process {
    process(&pod(container), "main", &Objects, &host()).unwrap()
}

fn refused(container: Value) -> String {
    process(&pod(container), "main", &Objects, &host()).unwrap_err().to_string()
}

fn variable(container: Value, name: &str) -> Option<Text> {
    made(container).env.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn from(source: Value) -> Option<Text> {
    variable(json!({"env": [{"name": "V", "valueFrom": source}]}), "V")
}

#[test]
fn host_variables_come_first_and_the_pod_wins() {
    let env = made(json!({"env": [{"name": "HOME", "value": "/x"}, {"name": "A", "value": "1"}]})).env;
    let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    assert_eq!(env, [("PATH", "/bin"), ("HOME", "/x"), ("HOSTNAME", "p"), ("A", "1")]);
}

#[test]
fn references_in_values_see_earlier_entries_only() {
    let container = json!({"env": [
        {"name": "LATE", "value": "$(B)"}, {"name": "B", "value": "b"}, {"name": "SEEN", "value": "<$(B)$(PATH)>"},
    ]});
    assert_eq!(variable(container.clone(), "LATE").unwrap(), "$(B)");
    assert_eq!(variable(container, "SEEN").unwrap(), "<b$(PATH)>");
}

#[test]
fn arguments_see_all_variables() {
    let env = json!([{"name": "A", "value": "x y"}]);
    let process =
        made(json!({"command": ["echo", "$(A)"], "args": ["$$(A)", "$(NO)", "$(A", "$A", "$"], "env": env}));
    assert_eq!(process.argv, ["echo", "x y", "$(A)", "$(NO)", "$(A", "$A", "$"]);
}

#[test]
fn env_from_takes_a_prefix_and_skips_what_cannot_be_a_name() {
    let process = made(json!({"envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}]}));
    let env: Vec<_> = process.env.iter().skip(3).map(|(name, _)| name.as_str()).collect();
    assert_eq!(env, ["P_a", "P_b"]);
    assert!(process.skipped[0].starts_with("Keys [bad=name] from the EnvFrom ConfigMap ns/cm were skipped"));
}

#[test]
fn keys_of_config_maps_and_secrets_are_read() {
    assert_eq!(from(json!({"configMapKeyRef": {"name": "cm", "key": "b"}})).unwrap(), "two");
    assert_eq!(from(json!({"secretKeyRef": {"name": "s", "key": "password"}})).unwrap(), "hunter2");
}

#[test]
fn what_is_missing_is_said_in_upstreams_words() {
    let refused = |source: Value| refused(json!({"env": [{"name": "V", "valueFrom": source}]}));
    assert_eq!(refused(json!({"configMapKeyRef": {"name": "no", "key": "b"}})), "configmap \"no\" not found");
    assert_eq!(refused(json!({"secretKeyRef": {"name": "no", "key": "b"}})), "secret \"no\" not found");
    let words = "couldn't find key k in ConfigMap ns/cm";
    assert_eq!(refused(json!({"configMapKeyRef": {"name": "cm", "key": "k"}})), words);
    assert_eq!(refused(json!({"fieldRef": {"fieldPath": "spec.x"}})), "field label not supported: spec.x");
    assert!(refused(json!({"secretKeyRef": {"name": "s", "key": "nul"}})).contains("NUL"));
    assert!(refused(json!({"fileKeyRef": {}})).contains("not supported"));
}

#[test]
fn bytes_of_a_secret_that_are_no_text_are_passed_on_as_they_are() {
    let raw = json!({"name": "RAW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "raw"}}});
    assert_eq!(variable(json!({"env": [raw]}), "RAW").unwrap().as_bytes(), b"\xffa\xfe\xff");
    let beside = json!({"env": [raw, {"name": "V", "value": "<$(RAW)>"}]});
    assert_eq!(variable(beside, "V").unwrap().as_bytes(), b"<\xffa\xfe\xff>");
    let all = json!({"envFrom": [{"secretRef": {"name": "raw"}}]});
    assert_eq!(variable(all, "raw").unwrap().as_bytes(), b"\xffa\xfe\xff");
    for (field, what) in [("args", "the argument <$(RAW)>"), ("volumeMounts", "the subPathExpr <$(RAW)>")] {
        let value = match field {
            "args" => json!(["<$(RAW)>"]),
            _ => json!([{"name": "v", "mountPath": "/v", "subPathExpr": "<$(RAW)>"}]),
        };
        let cause =
            process(&pod(json!({"env": [raw], field: value})), "main", &Objects, &host()).unwrap_err();
        assert_eq!(cause.reason(), "CreateContainerError");
        assert!(cause.to_string().starts_with(&format!("{what} is not UTF-8")), "{cause}");
    }
}

#[test]
fn optional_sources_may_be_missing() {
    assert_eq!(from(json!({"configMapKeyRef": {"name": "no", "key": "b", "optional": true}})), None);
    assert_eq!(from(json!({"secretKeyRef": {"name": "s", "key": "no", "optional": true}})), None);
    assert_eq!(made(json!({"envFrom": [{"secretRef": {"name": "no", "optional": true}}]})).env.len(), 3);
}

#[test]
fn fields_of_the_pod_are_read() {
    let field = |path: &str| from(json!({"fieldRef": {"fieldPath": path}})).unwrap();
    assert_eq!(field("metadata.name"), "p");
    assert_eq!(field("metadata.uid"), "u1");
    assert_eq!(field("metadata.labels['x/y']"), "label");
    assert_eq!(field("metadata.annotations['none']"), "");
    assert_eq!(field("spec.nodeName"), "here");
    assert_eq!(field("spec.serviceAccountName"), "default");
    assert_eq!(field("status.hostIP"), "127.0.0.1");
    assert_eq!(field("status.podIPs"), "127.0.0.1,::1");
}

#[test]
fn resources_are_rounded_up_by_the_divisor() {
    let resource = |limits: Value, reference: Value| {
        let env = json!([{"name": "V", "valueFrom": {"resourceFieldRef": reference}}]);
        variable(json!({"resources": {"limits": limits}, "env": env}), "V").unwrap()
    };
    assert_eq!(resource(json!({"cpu": "1500m"}), json!({"resource": "limits.cpu"})), "2");
    assert_eq!(resource(json!({"cpu": "1500m"}), json!({"resource": "limits.cpu", "divisor": "1m"})), "1500");
    assert_eq!(
        resource(json!({"memory": "1Gi"}), json!({"resource": "limits.memory", "divisor": "1Mi"})),
        "1024"
    );
    assert_eq!(resource(json!({}), json!({"resource": "limits.cpu", "divisor": "0"})), "4");
    assert_eq!(resource(json!({"cpu": "0"}), json!({"resource": "limits.cpu"})), "4", "0 is no limit");
    assert_eq!(resource(json!({}), json!({"resource": "requests.cpu"})), "0");
    assert_eq!(resource(json!({"memory": "1e3"}), json!({"resource": "limits.memory"})), "1000");
}

#[test]
fn container_without_a_command_is_refused() {
    let error = process(&pod(json!({"command": []})), "main", &Objects, &host()).unwrap_err();
    assert_eq!((error.reason(), error), ("CreateContainerError", ConfigError::NoCommand));
}

#[test]
fn args_are_the_command_only_where_an_image_has_its_entrypoint() {
    let mut pod = pod(json!({"command": null, "args": ["cat", "-n"]}));
    pod["spec"]["runtimeClassName"] = json!(null);
    assert_eq!(process(&pod, "main", &Objects, &host()).unwrap().argv, ["cat", "-n"]);
    pod["spec"]["runtimeClassName"] = json!("windlass-host");
    assert_eq!(process(&pod, "main", &Objects, &host()).unwrap_err(), ConfigError::NoCommand);
}

#[test]
fn what_a_host_process_cannot_have_is_refused() {
    let device = json!({"volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]});
    assert_eq!(refused(device), "a host process cannot have the volume \"v\" as a device at /dev/x");
    assert!(refused(json!({"securityContext": {"runAsUser": 5}})).contains("user 5"));
    assert!(refused(json!({"securityContext": {"runAsGroup": 5}})).contains("the group 5: it runs as 1000"));
    assert!(refused(json!({"securityContext": {"privileged": true}})).contains("privileges"));
    let added = json!({"securityContext": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}});
    assert!(refused(added).contains("the capability NET_ADMIN"));
    let rules = json!([{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [3]}}]);
    assert!(refused(json!({"restartPolicy": "Never", "restartPolicyRules": rules})).contains("restarts all"));
    assert!(refused(json!({"livenessProbe": {"grpc": {"port": 1}}})).contains("a livenessProbe of gRPC"));
    made(json!({"securityContext": {"runAsUser": 1000, "runAsNonRoot": true}}));
    let nobody = |user: Value, host: &Host| {
        let context = json!({"securityContext": {"runAsUser": user, "runAsNonRoot": true}});
        process(&pod(context), "main", &Objects, host).unwrap_err().to_string()
    };
    let whose = "(pod: \"p_ns(u1)\", container: main)";
    let breaks = format!("container's runAsUser breaks non-root policy {whose}");
    assert_eq!(nobody(json!(0), &host()), breaks);
    let root = Host { uid: 0, ..host() };
    let is_root = format!("container has runAsNonRoot and image will run as root {whose}");
    assert_eq!([nobody(json!(0), &root), nobody(Value::Null, &root)], [breaks, is_root]);
}

/// The content of the volume `v` of a source, mounted at `/v`.
fn content(source: Value) -> Result<Content, String> {
    let mut pod = pod(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}));
    let mut volume = json!({"name": "v"});
    volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    pod["spec"]["volumes"] = json!([{"name": "unused", "nfs": {}}, volume]);
    let process =
        process(&pod, "main", &Objects, &host()).map_err(|cause| format!("{}: {cause}", cause.reason()))?;
    assert_eq!(process.mounts[0].target, Path::new("/v"));
    assert_eq!(process.volumes.len(), 1, "only what is mounted is made");
    Ok(process.volumes[0].content.clone())
}

fn files(source: Value) -> Vec<(String, String, u32)> {
    let Content::Files(files) = content(source).unwrap() else { panic!("no files") };
    let text = |file: File| {
        (file.path.display().to_string(), String::from_utf8_lossy(&file.bytes).into_owned(), file.mode)
    };
    files.into_iter().map(text).collect()
}

fn file(path: &str, text: &str, mode: u32) -> (String, String, u32) {
    (path.to_owned(), text.to_owned(), mode)
}

#[test]
fn config_maps_and_secrets_become_files_with_their_modes() {
    assert_eq!(
        files(json!({"configMap": {"name": "cm", "defaultMode": 0o640}})),
        [file("a", "1", 0o640), file("b", "two", 0o640), file("bad=name", "x", 0o640)]
    );
    let items = json!([{"key": "b", "path": "x/y"}, {"key": "a", "path": "z", "mode": 0o400}]);
    assert_eq!(
        files(json!({"configMap": {"name": "cm", "items": items}})),
        [file("x/y", "two", 0o644), file("z", "1", 0o400)]
    );
    let items = json!([{"key": "password", "path": "p", "mode": 0o755}]);
    assert_eq!(
        files(json!({"secret": {"secretName": "s", "items": items}})),
        [file("p", "hunter2", 0o755)],
        "as it was asked for: the pod's own directory is its owner's only"
    );
    assert_eq!(files(json!({"secret": {"secretName": "none", "optional": true}})), []);
}

#[test]
fn downward_and_projected_volumes_are_files() {
    let items = json!([
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"}, "mode": 0o600},
    ]);
    let wanted = [file("labels", "x/y=\"label\"", 0o644), file("name", "p", 0o644), file("cpu", "4", 0o600)];
    assert_eq!(files(json!({"downwardAPI": {"items": items.clone()}})), wanted);
    let sources = json!([
        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "c"}]}},
        {"secret": {"name": "s", "items": [{"key": "password", "path": "p"}]}},
        {"downwardAPI": {"items": [items[1]]}},
    ]);
    assert_eq!(
        files(json!({"projected": {"sources": sources, "defaultMode": 0o444}})),
        [file("c", "1", 0o444), file("p", "hunter2", 0o444), file("name", "p", 0o444)]
    );
}

#[test]
fn host_paths_and_bound_claims_are_paths_of_the_host() {
    let host = |path: &str, kind, is_read_only| Content::Host { path: path.into(), kind, is_read_only };
    assert_eq!(
        content(json!({"hostPath": {"path": "/srv", "type": ""}})),
        Ok(host("/srv", HostKind::Any, false))
    );
    assert_eq!(
        content(json!({"persistentVolumeClaim": {"claimName": "data", "readOnly": true}})),
        Ok(host("/srv/data", HostKind::Directory, true))
    );
    assert_eq!(content(json!({"emptyDir": {}})), Ok(Content::Empty));
    assert_eq!(content(json!({"emptyDir": {"medium": "Memory"}})), Ok(Content::Memory));
}

#[test]
fn volume_that_is_not_there_waits_and_one_that_cannot_be_is_refused() {
    for (source, message) in [
        (
            json!({"configMap": {"name": "x"}}),
            "ContainerCreating: MountVolume.SetUp failed for volume \"v\" : configmap \"x\" not found",
        ),
        (
            json!({"secret": {"secretName": "x"}}),
            "ContainerCreating: MountVolume.SetUp failed for volume \"v\" : secret \"x\" not found",
        ),
        (
            json!({"configMap": {"name": "cm", "items": [{"key": "q", "path": "q"}]}}),
            "ContainerCreating: MountVolume.SetUp failed for volume \"v\" : configmap references non-existent config key: q",
        ),
        (
            json!({"projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "nobody"}}]}}),
            "ContainerCreating: MountVolume.SetUp failed for volume \"v\" : failed to fetch token: serviceaccounts \"default\" \
             not found",
        ),
        (
            json!({"persistentVolumeClaim": {"claimName": "late"}}),
            "ContainerCreating: MountVolume.SetUp failed for volume \"v\" : persistentvolumeclaim \"late\" is not bound",
        ),
    ] {
        assert_eq!(content(source).unwrap_err(), message);
    }
    for source in [
        json!({"nfs": {}}),
        json!({"emptyDir": {"medium": "HugePages"}}),
        json!({"projected": {"sources": [{"clusterTrustBundle": {}}]}}),
    ] {
        let message = content(source).unwrap_err();
        assert!(
            message.starts_with("CreateContainerConfigError") && message.contains("is not among"),
            "{message}"
        );
    }
}

#[test]
fn sub_path_stays_below_its_volume() {
    let mount = |mount: Value| {
        let mut mounts = json!({"name": "v", "mountPath": "/v", "readOnly": true});
        mounts.as_object_mut().unwrap().extend(mount.as_object().unwrap().clone());
        json!({"env": [{"name": "POD", "value": "p7"}], "volumeMounts": [mounts]})
    };
    let part = |extra: Value| made(mount(extra)).mounts[0].sub_path.clone();
    assert_eq!(part(json!({})), None);
    assert_eq!(part(json!({"subPath": "a/b"})), Some("a/b".into()));
    assert_eq!(part(json!({"subPathExpr": "$(POD)/x"})), Some("p7/x".into()));
    for bad in [json!({"subPathExpr": "$(NONE)"}), json!({"subPath": "../x"}), json!({"subPathExpr": "/x"})] {
        assert!(refused(mount(bad)).contains("failed to prepare subPath"));
    }
    assert!(refused(mount(json!({"mountPropagation": "Bidirectional"}))).contains("go back to the host"));
}

#[test]
fn long_host_name_is_cut() {
    let mut pod = pod(json!({}));
    pod["metadata"]["name"] = json!(format!("{}-tail", "a".repeat(62)));
    let process = process(&pod, "main", &Objects, &host()).unwrap();
    assert_eq!(process.env[2], ("HOSTNAME".to_owned(), "a".repeat(62).into()));
}

#[test]
fn host_name_of_the_pods_own_is_taken_as_it_is() {
    let mut pod = pod(json!({}));
    pod["spec"]["hostname"] = json!("h");
    pod["spec"]["hostnameOverride"] = json!("db-0.example.com");
    let process = process(&pod, "main", &Objects, &host()).unwrap();
    assert_eq!(process.env[2], ("HOSTNAME".to_owned(), "db-0.example.com".into()));
}

#[test]
fn stdin_is_null_unless_the_container_asks_for_one() {
    let stdio = |container| made(container).stdio;
    assert_eq!(stdio(json!({})), Stdio::default());
    assert_eq!(stdio(json!({"stdinOnce": true})).stdin, Stdin::Null);
    assert_eq!(stdio(json!({"stdin": true})).stdin, Stdin::Open);
    let once = stdio(json!({"stdin": true, "stdinOnce": true, "tty": true}));
    assert_eq!(once, Stdio { stdin: Stdin::Once, tty: true });
}

#[test]
fn terminal_has_a_name_unless_the_pod_gives_one() {
    let named = json!({"tty": true, "env": [{"name": "TERM", "value": "dumb"}]});
    assert_eq!(variable(json!({"tty": true}), "TERM"), Some("xterm".into()));
    assert_eq!(variable(named, "TERM"), Some("dumb".into()));
    assert_eq!(variable(json!({}), "TERM"), None);
}

#[test]
fn who_mounts_a_token_is_told_where_the_api_is_and_who_does_not_is_told_nothing() {
    let token = json!({"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}});
    let volume = json!([{"name": "api", "projected": {"defaultMode": 420, "sources": [token]}}]);
    let mut pod = pod(json!({"volumeMounts": [{"name": "api", "mountPath": "/var/run/secrets/x"}]}));
    pod["spec"]["volumes"] = volume;
    let beside = json!({"name": "beside", "command": ["true"]});
    pod["spec"]["containers"].as_array_mut().unwrap().push(beside);
    let host = host();
    let of = |container: &str| process(&pod, container, &Objects, &host).unwrap();
    let told = |process: &Process| {
        process.env.iter().filter(|(name, _)| name.starts_with("KUBERNETES_")).cloned().collect::<Vec<_>>()
    };
    let expected = [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", "6443")];
    assert_eq!(told(&of("main")), expected.map(|(name, value)| (name.to_owned(), value.into())));
    assert_eq!(told(&of("beside")), []);
    let bytes = b"for None during 3607s".to_vec();
    let file = File { path: "token".into(), bytes, mode: 0o600 };
    assert_eq!(of("main").volumes[0].content, Content::Files(vec![file]));
    let asked =
        TokenFile { volume: "api".into(), path: "token".into(), audience: None, seconds: 3607, mode: 0o600 };
    assert_eq!(tokens(&pod), [asked]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([]);
    assert_eq!(tokens(&pod), []);
}

#[test]
fn limits_of_mounted_empty_directories_are_read_and_others_are_none() {
    let mounts =
        ["a", "b", "zero", "free"].map(|name| json!({"name": name, "mountPath": format!("/{name}")}));
    let mut pod = pod(json!({"volumeMounts": mounts}));
    pod["spec"]["volumes"] = json!([
        {"name": "a", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "b", "emptyDir": {"medium": "Memory", "sizeLimit": "1500m"}},
        {"name": "zero", "emptyDir": {"sizeLimit": "0"}}, {"name": "free", "emptyDir": {}},
        {"name": "unused", "emptyDir": {"sizeLimit": "1"}},
    ]);
    let limits: Vec<_> =
        size_limits(&pod).into_iter().map(|l| (l.volume, l.bytes, l.text, l.is_memory)).collect();
    assert_eq!(limits, [("a".into(), 1 << 20, "1Mi".into(), false), ("b".into(), 2, "1500m".into(), true)]);
}

#[test]
fn termination_message_has_a_file_where_a_container_can_be_seen_to_use_it() {
    for (container, expected) in [
        (json!({}), None),
        (json!({"terminationMessagePath": "/dev/termination-log"}), None),
        (json!({"terminationMessagePath": "/tmp/why"}), Some("/tmp/why")),
        (json!({"terminationMessagePath": "why"}), Some("/why")),
        (
            json!({"terminationMessagePath": "/dev/termination-log", "args": ["echo bye > /dev/termination-log"]}),
            Some("/dev/termination-log"),
        ),
        (
            json!({
                "terminationMessagePath": "/dev/termination-log",
                "env": [{"name": "LAST_WORDS", "value": "/dev/termination-log"}],
            }),
            Some("/dev/termination-log"),
        ),
    ] {
        assert_eq!(made(container).message.as_deref(), expected.map(Path::new));
    }
}

#[test]
fn limits_of_a_container_are_those_that_are_more_than_nothing() {
    let limits =
        |limits: Value| made(json!({"resources": {"limits": limits, "requests": {"cpu": 1}}})).limits;
    let of = |memory_bytes, cpu_millis| Some(Limits { memory_bytes, cpu_millis, pids: None });
    for (given, expected) in [
        (json!({}), None),
        (json!({"memory": "32Mi"}), of(Some(32 << 20), None)),
        (json!({"memory": "1500m", "cpu": "0.1"}), of(Some(2), Some(100))),
        (json!({"memory": 1e6, "cpu": 2}), of(Some(1_000_000), Some(2000))),
        (json!({"cpu": "100u"}), of(None, Some(1))),
        (json!({"cpu": "0", "memory": 0, "example.com/gpu": "1"}), None),
        (json!({"memory": "900E"}), of(Some(u64::MAX), None)),
    ] {
        assert_eq!(limits(given.clone()), expected, "{given}");
    }
    let host = Host { pids: Some(9), ..host() };
    let process = process(&pod(json!({})), "main", &Objects, &host).unwrap();
    assert_eq!(process.limits, Some(Limits { pids: Some(9), ..Limits::default() }));
}
