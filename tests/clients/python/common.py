"""What the situations share: small manifests, and waits by watches with deadlines of minutes."""

from kubernetes import client, watch
from kubernetes.client.rest import ApiException

PATIENCE = 180


def pod_spec(script, **more):
    container = {"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", script]}
    return {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **more}


def job(name, script="true", **spec):
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"made": "by-python"}},
        "spec": {"backoffLimit": 0, "template": {"spec": pod_spec(script)}, **spec},
    }


def pod(name, script, **spec):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": pod_spec(script, **spec),
    }


def until(function, namespace, name, done, patience=PATIENCE):
    """The first state of one object that passes, which is None while there is no such object."""
    selector = f"metadata.name={name}"
    found = function(namespace, field_selector=selector)
    last = found.items[0] if found.items else None
    if done(last):
        return last
    watcher = watch.Watch()
    version = found.metadata.resource_version
    options = {"field_selector": selector, "resource_version": version, "timeout_seconds": patience}
    for event in watcher.stream(function, namespace, **options):
        last = event["object"]
        if done(None if event["type"] == "DELETED" else last):
            watcher.stop()
            return last
    raise AssertionError(f"{name} never came so far; last seen: {last}")


def condition(kind):
    def passes(found):
        conditions = (found and found.status and found.status.conditions) or []
        return any(c.type == kind and c.status == "True" for c in conditions)

    return passes


def phase(*wanted):
    return lambda found: found is not None and found.status.phase in wanted


def gone(read, name, namespace):
    """Whether reading it is answered with 404."""
    try:
        read(name, namespace)
    except ApiException as error:
        assert error.status == 404, error
        return True
    return False


def refused(status, call, *arguments, **options):
    """The body of the refusal that a call must meet."""
    try:
        answer = call(*arguments, **options)
    except ApiException as error:
        assert error.status == status, f"{error.status}, not {status}: {error.body}"
        return error.body or str(error.reason)
    raise AssertionError(f"it was not refused with {status}: {answer}")


batch = client.BatchV1Api
core = client.CoreV1Api
