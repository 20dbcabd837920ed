"""Jobs and CronJobs through the typed client: made, read, listed in pages, changed, counted, deleted in three ways."""

import json

from kubernetes import client

from common import batch, condition, core, gone, job, refused, until


def typed_job_runs(namespace):
    template = client.V1PodTemplateSpec(
        spec=client.V1PodSpec(
            restart_policy="Never",
            containers=[
                client.V1Container(
                    name="main",
                    image="busybox:1.36",
                    command=["sh", "-c", "echo $GREETING; exit 0"],
                    env=[client.V1EnvVar(name="GREETING", value="hello")],
                    resources=client.V1ResourceRequirements(requests={"cpu": "10m", "memory": "16Mi"}),
                )
            ],
        )
    )
    made = batch().create_namespaced_job(
        namespace,
        client.V1Job(
            metadata=client.V1ObjectMeta(name="typed", labels={"made": "by-python"}),
            spec=client.V1JobSpec(template=template, backoff_limit=0, completions=2, parallelism=2),
        ),
    )
    assert made.metadata.uid and made.spec.completion_mode == "NonIndexed"
    done = until(batch().list_namespaced_job, namespace, "typed", condition("Complete"))
    assert done.status.succeeded == 2 and done.status.completion_time >= done.status.start_time
    pods = core().list_namespaced_pod(namespace, label_selector="job-name=typed").items
    assert len(pods) == 2 and all(p.status.phase == "Succeeded" for p in pods)
    assert pods[0].status.container_statuses[0].state.terminated.exit_code == 0
    said = core().read_namespaced_pod_log(pods[0].metadata.name, namespace)
    assert said == "hello\n", repr(said)


def failed_job_tells_why(namespace):
    batch().create_namespaced_job(namespace, job("fails", "exit 3"))
    failed = until(batch().list_namespaced_job, namespace, "fails", condition("Failed"))
    reasons = [c.reason for c in failed.status.conditions if c.type == "Failed"]
    assert reasons == ["BackoffLimitExceeded"], reasons
    events = core().list_namespaced_event(namespace, field_selector="involvedObject.name=fails,involvedObject.kind=Job")
    assert "BackoffLimitExceeded" in [e.reason for e in events.items]


def lists_come_in_pages(namespace):
    names = [f"page-{n}" for n in range(7)]
    for name in names:
        batch().create_namespaced_job(namespace, job(name, suspend=True))
    seen, token, versions = [], None, set()
    while True:
        page = batch().list_namespaced_job(namespace, limit=3, _continue=token)
        seen += [item.metadata.name for item in page.items]
        versions.add(page.metadata.resource_version)
        token = page.metadata._continue
        if not token:
            break
        assert len(page.items) == 3 and page.metadata.remaining_item_count > 0
    assert [n for n in seen if n.startswith("page-")] == names and len(versions) == 1
    some = batch().list_namespaced_job(namespace, field_selector="metadata.name=page-3")
    assert [j.metadata.name for j in some.items] == ["page-3"]
    some = batch().list_namespaced_job(namespace, label_selector="made in (by-python),!absent")
    assert len(some.items) == len(seen)
    assert "field label" in refused(400, batch().list_namespaced_job, namespace, field_selector="spec.x=1")
    refused(400, batch().list_namespaced_job, namespace, label_selector="a in (")
    everywhere = batch().list_job_for_all_namespaces(field_selector=f"metadata.namespace={namespace}")
    assert len(everywhere.items) == len(seen)
    version = everywhere.metadata.resource_version
    exact = batch().list_namespaced_job(namespace, resource_version=version, resource_version_match="Exact")
    assert exact.metadata.resource_version == version
    # Page three was of the version of page one, whatever has happened since.
    first = batch().list_namespaced_job(namespace, limit=3)
    batch().delete_collection_namespaced_job(namespace, field_selector="metadata.name=page-6")
    rest = batch().list_namespaced_job(namespace, _continue=first.metadata._continue)
    assert "page-6" in [j.metadata.name for j in rest.items]
    for name in names[:-1]:
        batch().delete_namespaced_job(name, namespace, propagation_policy="Background")


def suspended_job_is_resumed(namespace):
    batch().create_namespaced_job(namespace, job("later", suspend=True))
    until(batch().list_namespaced_job, namespace, "later", condition("Suspended"))
    assert not core().list_namespaced_pod(namespace, label_selector="job-name=later").items
    batch().patch_namespaced_job("later", namespace, {"spec": {"suspend": False}})
    until(batch().list_namespaced_job, namespace, "later", condition("Complete"))


def parallelism_is_scaled(namespace):
    batch().create_namespaced_job(namespace, job("wide", "sleep 600", parallelism=1, completions=5))
    until(batch().list_namespaced_job, namespace, "wide", lambda j: j and j.status.active == 1)
    batch().patch_namespaced_job("wide", namespace, {"spec": {"parallelism": 3}})
    until(batch().list_namespaced_job, namespace, "wide", lambda j: j and j.status.active == 3)
    said = refused(422, batch().patch_namespaced_job, "wide", namespace, {"spec": {"completions": 6}})
    assert "field is immutable" in json.loads(said)["message"], said
    batch().delete_namespaced_job("wide", namespace, propagation_policy="Foreground")
    until(batch().list_namespaced_job, namespace, "wide", lambda j: j is None)
    assert not core().list_namespaced_pod(namespace, label_selector="job-name=wide").items


def orphans_stay(namespace):
    batch().create_namespaced_job(namespace, job("parent"))
    until(batch().list_namespaced_job, namespace, "parent", condition("Complete"))
    options = client.V1DeleteOptions(propagation_policy="Orphan")
    batch().delete_namespaced_job("parent", namespace, body=options)
    until(batch().list_namespaced_job, namespace, "parent", lambda j: j is None)
    (left,) = core().list_namespaced_pod(namespace, label_selector="job-name=parent").items
    assert not left.metadata.owner_references and left.status.phase == "Succeeded"
    core().delete_namespaced_pod(left.metadata.name, namespace, grace_period_seconds=0)


def deletes_hold_their_preconditions(namespace):
    made = batch().create_namespaced_job(namespace, job("guarded", suspend=True))
    wrong = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
    assert "the UID in the precondition (another)" in refused(409, batch().delete_namespaced_job, "guarded", namespace, body=wrong)
    right = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=made.metadata.uid))
    # With a body the query says nothing, as upstream.
    tried = client.V1DeleteOptions(preconditions=right.preconditions, dry_run=["All"])
    batch().delete_namespaced_job("guarded", namespace, body=tried)
    batch().read_namespaced_job("guarded", namespace)
    right.propagation_policy = "Background"
    answer = batch().delete_namespaced_job("guarded", namespace, body=right)
    answer = answer if isinstance(answer, dict) else answer.to_dict()
    assert answer["status"] == "Success", answer
    assert gone(batch().read_namespaced_job, "guarded", namespace)


def cron_job_is_started_by_hand(namespace):
    spec = job("unused")["spec"]
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "timeZone": "Europe/Zurich", "suspend": True, "jobTemplate": {"spec": spec}},
    }
    made = batch().create_namespaced_cron_job(namespace, cron)
    assert made.spec.concurrency_policy == "Allow" and made.spec.successful_jobs_history_limit == 3
    by_hand = client.V1Job(
        metadata=client.V1ObjectMeta(
            name="by-hand",
            annotations={"cronjob.kubernetes.io/instantiate": "manual"},
            owner_references=[
                client.V1OwnerReference(
                    api_version="batch/v1", kind="CronJob", name="nightly", uid=made.metadata.uid, controller=True
                )
            ],
        ),
        spec=made.spec.job_template.spec,
    )
    batch().create_namespaced_job(namespace, by_hand)
    until(batch().list_namespaced_job, namespace, "by-hand", condition("Complete"))
    bad = dict(cron, metadata={"name": "bad"}, spec=dict(cron["spec"], schedule="never"))
    refused(422, batch().create_namespaced_cron_job, namespace, bad)
    batch().patch_namespaced_cron_job("nightly", namespace, {"spec": {"schedule": "@daily"}})
    assert batch().read_namespaced_cron_job("nightly", namespace).spec.schedule == "@daily"
    batch().delete_namespaced_cron_job("nightly", namespace, propagation_policy="Foreground")
    until(batch().list_namespaced_cron_job, namespace, "nightly", lambda c: c is None)
    # Its reference does not hold back its owner's deletion.
    until(batch().list_namespaced_job, namespace, "by-hand", lambda j: j is None)


SITUATIONS = [
    typed_job_runs,
    failed_job_tells_why,
    lists_come_in_pages,
    suspended_job_is_resumed,
    parallelism_is_scaled,
    orphans_stay,
    deletes_hold_their_preconditions,
    cron_job_is_started_by_hand,
]
