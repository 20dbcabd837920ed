"""Watches as programs hold them: from a version on, with a time limit, through selectors, and the library's informer."""

import logging
import threading

from kubernetes import client, watch

from common import PATIENCE, batch, condition, core, job, refused


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"kind": name}), data=data)


def goes_on_from_a_version(namespace):
    before = core().list_namespaced_config_map(namespace).metadata.resource_version
    core().create_namespaced_config_map(namespace, config_map("seen", a="1"))
    core().patch_namespaced_config_map("seen", namespace, {"data": {"a": "2"}})
    core().delete_namespaced_config_map("seen", namespace)
    watcher, seen = watch.Watch(), []
    for event in watcher.stream(
        core().list_namespaced_config_map, namespace, resource_version=before, timeout_seconds=PATIENCE
    ):
        seen.append((event["type"], event["object"].metadata.name, (event["object"].data or {}).get("a")))
        if event["type"] == "DELETED":
            watcher.stop()
    assert seen == [("ADDED", "seen", "1"), ("MODIFIED", "seen", "2"), ("DELETED", "seen", "2")], seen
    assert int(watcher.resource_version) > int(before)


def ends_when_its_time_is_up(namespace):
    kinds = [e["type"] for e in watch.Watch().stream(core().list_namespaced_config_map, namespace, timeout_seconds=1)]
    assert set(kinds) <= {"ADDED"}, kinds


def sees_what_comes_and_goes_by_its_label(namespace):
    version = core().list_namespaced_config_map(namespace).metadata.resource_version
    core().create_namespaced_config_map(namespace, config_map("red"))
    core().patch_namespaced_config_map("red", namespace, {"metadata": {"labels": {"kind": "blue"}}})
    core().patch_namespaced_config_map("red", namespace, {"metadata": {"labels": {"kind": "red"}}})
    core().delete_namespaced_config_map("red", namespace)
    watcher, seen = watch.Watch(), []
    options = {"label_selector": "kind=red", "resource_version": version, "timeout_seconds": PATIENCE}
    for event in watcher.stream(core().list_namespaced_config_map, namespace, **options):
        seen.append(event["type"])
        if len(seen) == 4:
            watcher.stop()
    assert seen == ["ADDED", "DELETED", "ADDED", "DELETED"], seen


def bookmarks_begin_a_streamed_list(namespace):
    core().create_namespaced_config_map(namespace, config_map("streamed"))
    watcher, kinds = watch.Watch(), []
    options = {
        "send_initial_events": True,
        "resource_version_match": "NotOlderThan",
        "allow_watch_bookmarks": True,
        "timeout_seconds": PATIENCE,
    }
    for event in watcher.stream(core().list_namespaced_config_map, namespace, **options):
        kinds.append(event["type"])
        if event["type"] == "BOOKMARK":
            notes = event["raw_object"]["metadata"]["annotations"]
            assert notes == {"k8s.io/initial-events-end": "true"}, notes
            watcher.stop()
    assert kinds.count("ADDED") == len(core().list_namespaced_config_map(namespace).items), kinds


def a_version_to_come_is_refused(namespace):
    ahead = str(int(core().list_namespaced_config_map(namespace).metadata.resource_version) + 1_000_000)
    said = refused(504, core().list_namespaced_config_map, namespace, resource_version=ahead)
    assert "Too large resource version" in said, said
    refused(400, core().list_namespaced_config_map, namespace, resource_version="not-a-version")


def informer_follows(namespace):
    from kubernetes.informer import SharedInformer

    # It closes its connection to stop, and takes the end of its own watch for an error.
    logging.getLogger("kubernetes.informer").setLevel(logging.CRITICAL)
    events, listed, done = [], threading.Event(), threading.Event()

    def note(kind):
        def handler(found):
            events.append((kind, found.metadata.name))
            if kind == "DELETED":
                done.set()
            elif found.metadata.name == "before":
                listed.set()

        return handler

    def ready(found):
        if found.metadata.name == "told" and complete(found) and not found.metadata.deletion_timestamp:
            batch().delete_namespaced_job("told", namespace, propagation_policy="Background")

    def labelled(name, **spec):
        made = job(name, **spec)
        made["metadata"]["labels"]["told"] = "yes"
        batch().create_namespaced_job(namespace, made)

    complete = condition("Complete")
    informer = SharedInformer(
        list_func=client.BatchV1Api().list_namespaced_job, namespace=namespace, label_selector="told=yes"
    )
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, note(kind))
    informer.add_event_handler("MODIFIED", ready)
    labelled("before", suspend=True)
    informer.start()
    try:
        # What is made after its list comes as changes, however long its thread stands still.
        assert listed.wait(PATIENCE), events
        labelled("told")
        assert done.wait(PATIENCE), events
    finally:
        informer.stop()
    kinds = [kind for kind, name in events if name == "told"]
    assert kinds[0] == "ADDED" and "MODIFIED" in kinds and kinds[-1] == "DELETED", kinds
    assert [kept.metadata.name for kept in informer.cache.list()] == ["before"]
    batch().delete_namespaced_job("before", namespace, propagation_policy="Background")


SITUATIONS = [
    goes_on_from_a_version,
    ends_when_its_time_is_up,
    sees_what_comes_and_goes_by_its_label,
    bookmarks_begin_a_streamed_list,
    a_version_to_come_is_refused,
    informer_follows,
]
