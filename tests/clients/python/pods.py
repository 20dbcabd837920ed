"""Pods alone: their states, logs read and followed, eviction, deletion with grace."""

from kubernetes import client, watch

from common import PATIENCE, core, gone, phase, pod, refused, until


def states_are_told(namespace):
    made = core().create_namespaced_pod(namespace, pod("states", "echo out; echo err >&2; exit 4"))
    assert made.status.phase == "Pending" and made.status.qos_class == "BestEffort"
    ended = until(core().list_namespaced_pod, namespace, "states", phase("Failed"))
    state = ended.status.container_statuses[0].state.terminated
    assert (state.exit_code, state.reason) == (4, "Error") and state.finished_at >= state.started_at
    assert ended.status.host_ip and ended.status.start_time
    assert {c.type for c in ended.status.conditions} >= {"Initialized", "Ready", "ContainersReady", "PodScheduled"}
    found = core().list_namespaced_pod(namespace, field_selector="status.phase=Failed,metadata.name=states")
    assert len(found.items) == 1


def logs_are_read(namespace):
    read = core().read_namespaced_pod_log
    assert sorted(read("states", namespace).splitlines()) == ["err", "out"]
    assert len(read("states", namespace, tail_lines=1).splitlines()) == 1
    stamped = read("states", namespace, timestamps=True).splitlines()
    assert all(line.split(" ")[0].endswith("Z") for line in stamped), stamped
    assert len(read("states", namespace, limit_bytes=2)) == 2
    assert len(read("states", namespace, container="main", since_seconds=3600).splitlines()) == 2
    refused(400, read, "states", namespace, container="other")
    refused(400, read, "states", namespace, previous=True)
    refused(404, read, "nowhere", namespace)
    raw = read("states", namespace, _preload_content=False)
    assert sorted(raw.data.split()) == [b"err", b"out"]


def logs_are_followed(namespace):
    core().create_namespaced_pod(namespace, pod("speaks", "for n in 1 2 3; do echo line $n; done; exec sleep 600"))
    until(core().list_namespaced_pod, namespace, "speaks", phase("Running"))
    watcher, lines = watch.Watch(), []
    for line in watcher.stream(core().read_namespaced_pod_log, "speaks", namespace):
        lines.append(line)
        if len(lines) == 3:
            # The container runs on: what was said came while it was followed, and its end ends the log.
            core().delete_namespaced_pod("speaks", namespace, grace_period_seconds=1)
    assert lines == ["line 1", "line 2", "line 3"], lines


def follower_reads_to_the_end(namespace):
    core().create_namespaced_pod(namespace, pod("counts", "n=0; while [ $n -lt 5000 ]; do n=$((n+1)); echo $n; done"))
    until(core().list_namespaced_pod, namespace, "counts", phase("Running", "Succeeded"))
    stream = core().read_namespaced_pod_log(
        "counts", namespace, follow=True, _preload_content=False, _request_timeout=PATIENCE
    )
    numbers = b"".join(stream.stream(decode_content=False)).split()
    assert numbers == [str(n).encode() for n in range(1, 5001)], len(numbers)


def two_containers_and_an_init(namespace):
    extra = {
        "initContainers": [{"name": "first", "image": "busybox", "command": ["sh", "-c", "echo prepared"]}],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }
    made = pod("several", "echo main", **extra)
    made["spec"]["containers"].append({"name": "side", "image": "busybox", "command": ["sh", "-c", "echo side"]})
    core().create_namespaced_pod(namespace, made)
    ended = until(core().list_namespaced_pod, namespace, "several", phase("Succeeded"))
    assert [s.name for s in ended.status.init_container_statuses] == ["first"]
    for container, said in (("first", "prepared\n"), ("main", "main\n"), ("side", "side\n")):
        assert core().read_namespaced_pod_log("several", namespace, container=container) == said
    said = refused(400, core().read_namespaced_pod_log, "several", namespace, container="absent")
    assert "container absent is not valid for pod several" in said, said


def evicted(namespace):
    core().create_namespaced_pod(namespace, pod("leaves", "exec sleep 600"))
    until(core().list_namespaced_pod, namespace, "leaves", phase("Running"))
    body = client.V1Eviction(metadata=client.V1ObjectMeta(name="leaves", namespace=namespace))
    core().create_namespaced_pod_eviction("leaves", namespace, body)
    until(core().list_namespaced_pod, namespace, "leaves", lambda p: p is None)


def deleted_with_grace(namespace):
    core().create_namespaced_pod(namespace, pod("stays", "exec sleep 600"))
    until(core().list_namespaced_pod, namespace, "stays", phase("Running"))
    answer = core().delete_namespaced_pod("stays", namespace)
    assert answer.metadata.deletion_timestamp and answer.metadata.deletion_grace_period_seconds == 1
    until(core().list_namespaced_pod, namespace, "stays", lambda p: p is None)


def labels_are_changed(namespace):
    found = core().patch_namespaced_pod("states", namespace, {"metadata": {"annotations": {"seen": "yes"}}})
    assert found.metadata.annotations["seen"] == "yes"
    said = refused(422, core().patch_namespaced_pod, "states", namespace, {"spec": {"restartPolicy": "Always"}})
    assert "pod updates may not change fields other than" in said, said
    core().delete_collection_namespaced_pod(namespace, label_selector="app=states", grace_period_seconds=0)
    assert gone(core().read_namespaced_pod, "states", namespace)


SITUATIONS = [
    states_are_told,
    logs_are_read,
    logs_are_followed,
    follower_reads_to_the_end,
    two_containers_and_an_init,
    evicted,
    deleted_with_grace,
    labels_are_changed,
]
