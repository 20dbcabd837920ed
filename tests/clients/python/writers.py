"""Writes of every form: replace, three patches, apply with owners and conflicts, status, dry run, validation, rights."""

import json

from kubernetes import client, dynamic, utils
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import BadRequestError, ConflictError

from common import PATIENCE, batch, core, gone, job, refused


def config_map(name, data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def replaced_by_its_version(namespace):
    core().create_namespaced_config_map(namespace, config_map("versions", {"a": "1"}))
    old = core().read_namespaced_config_map("versions", namespace)
    old.data["a"] = "2"
    new = core().replace_namespaced_config_map("versions", namespace, old)
    assert int(new.metadata.resource_version) > int(old.metadata.resource_version)
    said = json.loads(refused(409, core().replace_namespaced_config_map, "versions", namespace, old))
    assert said["reason"] == "Conflict" and "the object has been modified" in said["message"], said


def patched_in_three_ways(namespace):
    api = batch()
    api.create_namespaced_job(namespace, job("patched", suspend=True))
    # Without a word about it a mapping is a strategic merge or a merge patch, as the client's release decides.
    api.patch_namespaced_job("patched", namespace, {"metadata": {"labels": {"one": "1"}}})
    operations = [{"op": "add", "path": "/metadata/labels/two", "value": "2"}]
    api.patch_namespaced_job("patched", namespace, operations, _content_type="application/json-patch+json")
    template = {"template": {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "20m"}}}]}}}
    strategic = "application/strategic-merge-patch+json"
    found = api.patch_namespaced_job("patched", namespace, {"spec": template}, _content_type=strategic)
    (container,) = found.spec.template.spec.containers
    assert container.image == "busybox:1.36" and container.resources.requests == {"cpu": "20m"}
    removed = {"metadata": {"labels": {"one": None}}}
    found = api.patch_namespaced_job("patched", namespace, removed, _content_type="application/merge-patch+json")
    assert found.metadata.labels["two"] == "2" and "one" not in found.metadata.labels
    test = [{"op": "test", "path": "/metadata/labels/two", "value": "3"}]
    refused(422, api.patch_namespaced_job, "patched", namespace, test, _content_type="application/json-patch+json")
    refused(415, api.patch_namespaced_job, "patched", namespace, {}, _content_type="application/json")


def status_is_a_part_of_its_own(namespace):
    api = batch()
    found = api.read_namespaced_job_status("patched", namespace)
    assert found.spec.suspend
    managed = job("managed", managedBy="example.com/mine")
    api.create_namespaced_job(namespace, managed)
    found = api.patch_namespaced_job_status("managed", namespace, {"status": {"active": 1, "ready": 0}})
    assert found.status.active == 1
    found = api.patch_namespaced_job("managed", namespace, {"status": {"active": 5}})
    assert found.status.active == 1
    found.status.active = 0
    assert not api.replace_namespaced_job_status("managed", namespace, found).status.active
    api.delete_namespaced_job("managed", namespace, propagation_policy="Background")


def applied_by_two(namespace):
    maps = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")
    apply = maps.server_side_apply
    first = config_map("applied", {"a": "1", "b": "1"})
    apply(body=first, namespace=namespace, field_manager="one")
    second = config_map("applied", {"a": "2", "c": "2"})
    try:
        apply(body=second, namespace=namespace, field_manager="two")
        raise AssertionError("two owners of one field")
    except ConflictError as error:
        said = json.loads(error.body)
        assert said["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.a', said
        assert said["details"]["causes"][0]["reason"] == "FieldManagerConflict", said
    apply(body=second, namespace=namespace, field_manager="two", force_conflicts=True)
    found = apply(body=config_map("applied", {"d": "1"}), namespace=namespace, field_manager="one")
    assert found.data.to_dict() == {"a": "2", "c": "2", "d": "1"}, found.data
    assert sorted(m.manager for m in found.metadata.managedFields) == ["one", "two"]
    found = maps.get(name="applied", namespace=namespace)
    assert found.data["d"] == "1"
    tried = apply(body=config_map("never", {"a": "1"}), namespace=namespace, field_manager="one", dry_run="All")
    assert tried.metadata.uid and gone(core().read_namespaced_config_map, "never", namespace)


def dynamic_client_does_it_all(namespace):
    jobs = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="batch/v1", kind="Job")
    assert jobs.namespaced and "status" in jobs.subresources and "watch" in jobs.verbs
    made = jobs.create(body=job("untyped", suspend=True), namespace=namespace)
    assert jobs.get(name="untyped", namespace=namespace).metadata.uid == made.metadata.uid
    patch = {"metadata": {"name": "untyped", "labels": {"note": "yes"}}}
    jobs.patch(body=patch, namespace=namespace, content_type="application/merge-patch+json")
    assert len(jobs.get(namespace=namespace, label_selector="note=yes").items) == 1
    changed = jobs.get(name="untyped", namespace=namespace).to_dict()
    changed["spec"]["parallelism"] = 2
    assert jobs.replace(body=changed, namespace=namespace).spec.parallelism == 2
    assert jobs.status.get(name="untyped", namespace=namespace).kind == "Job"
    watched = jobs.watch(namespace=namespace, name="untyped", timeout=PATIENCE)
    assert next(watched)["type"] == "ADDED"
    watched.close()
    jobs.delete(name="untyped", namespace=namespace, propagation_policy="Background")
    assert gone(batch().read_namespaced_job, "untyped", namespace)


def made_from_a_file(namespace):
    two = [config_map("from-file", {"a": "1"}), job("from-file", suspend=True)]
    utils.create_from_yaml(client.ApiClient(), yaml_objects=two, namespace=namespace)
    assert batch().read_namespaced_job("from-file", namespace).spec.suspend
    try:
        utils.create_from_yaml(client.ApiClient(), yaml_objects=two, namespace=namespace)
        raise AssertionError("it was made twice")
    except utils.FailToCreateError as error:
        assert len(error.api_exceptions) == 2 and all(e.status == 409 for e in error.api_exceptions)


def tried_only(namespace):
    tried = batch().create_namespaced_job(namespace, job("tried"), dry_run="All")
    assert tried.metadata.uid and gone(batch().read_namespaced_job, "tried", namespace)
    jobs = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="batch/v1", kind="Job")
    unknown = job("unknown", bogus=1, suspend=True)
    try:
        jobs.create(body=unknown, namespace=namespace, query_params=[("fieldValidation", "Strict")])
        raise AssertionError("a field that there is not was taken")
    except BadRequestError as error:
        assert 'unknown field \\"spec.bogus\\"' in str(error.body), error.body
    made = jobs.create(body=unknown, namespace=namespace)
    assert "bogus" not in made.spec.to_dict()
    missing = job("missing")
    del missing["spec"]["template"]["spec"]["restartPolicy"]
    said = json.loads(refused(422, batch().create_namespaced_job, namespace, missing))
    assert said["details"]["causes"][0]["field"] == "spec.template.spec.restartPolicy", said
    said = json.loads(refused(404, batch().create_namespaced_job, "nowhere", job("lost")))
    assert said["message"] == 'namespaces "nowhere" not found', said


def secrets_are_kept(namespace):
    core().create_namespaced_secret(namespace, client.V1Secret(metadata={"name": "key"}, string_data={"word": "open"}))
    found = core().read_namespaced_secret("key", namespace)
    assert found.data == {"word": "b3Blbg=="} and found.string_data is None and found.type == "Opaque"


def rights_are_told(namespace):
    attributes = {"namespace": namespace, "verb": "create", "group": "batch", "resource": "jobs"}
    review = client.AuthorizationV1Api().create_self_subject_access_review(
        {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    )
    assert review.status.allowed
    me = client.AuthenticationV1Api().create_self_subject_review({"metadata": {}})
    assert me.status.user_info.username
    account = core().read_namespaced_service_account("default", namespace)
    token = core().create_namespaced_service_account_token(
        account.metadata.name,
        namespace,
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [], "expirationSeconds": 600}},
    )
    assert token.status.token.count(".") == 2
    mine = client.Configuration.get_default_copy()
    limited = client.Configuration(host=mine.host)
    limited.ssl_ca_cert = mine.ssl_ca_cert
    # Older releases of the client ask for the second name.
    limited.api_key = {name: f"Bearer {token.status.token}" for name in ("BearerToken", "authorization")}
    theirs = client.BatchV1Api(client.ApiClient(limited))
    said = json.loads(refused(403, theirs.list_namespaced_job, namespace))
    assert said["reason"] == "Forbidden" and f"system:serviceaccount:{namespace}:default" in said["message"], said
    assert client.VersionApi().get_code().major == "1"
    try:
        client.CoreV1Api(client.ApiClient(limited)).read_namespaced_secret("key", namespace)
        raise AssertionError("a pod's token reads secrets")
    except ApiException as error:
        assert error.status == 403


def groups_are_discovered(_namespace):
    groups = [g.name for g in client.ApisApi().get_api_versions().groups]
    assert {"batch", "apps", "authorization.k8s.io"} <= set(groups), groups
    served = {r.name for r in batch().get_api_resources().resources}
    assert {"jobs", "jobs/status", "cronjobs", "cronjobs/status"} <= served, served
    served = {r.name for r in core().get_api_resources().resources}
    assert {"pods", "pods/log", "pods/exec", "pods/attach", "pods/eviction"} <= served, served


SITUATIONS = [
    replaced_by_its_version,
    patched_in_three_ways,
    status_is_a_part_of_its_own,
    applied_by_two,
    dynamic_client_does_it_all,
    made_from_a_file,
    tried_only,
    secrets_are_kept,
    rights_are_told,
    groups_are_discovered,
]
