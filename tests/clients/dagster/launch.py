"""Dagster's launchers of Jobs and pods, unmodified, on the cluster that KUBECONFIG names.

LAUNCHED is where the commands leave what they did.
"""

import os
import sys
from pathlib import Path

import kubernetes
from dagster import DagsterInstance, asset, job, materialize, op
from dagster_k8s import PipesK8sClient, execute_k8s_job, k8s_job_op
from dagster_k8s.client import DagsterK8sError

PLACE = Path(os.environ["LAUNCHED"])
COMMON = {
    "image": "busybox:1.36",
    "image_pull_policy": "IfNotPresent",
    "namespace": "default",
    "load_incluster_config": False,
    "kubeconfig_file": os.environ["KUBECONFIG"],
    "timeout": 300,
}


def shell(script):
    return ["sh", "-c", script]


first = k8s_job_op.configured({**COMMON, "command": shell(f"echo first; echo > {PLACE}/first")}, name="first")


@op
def fails(context):
    try:
        execute_k8s_job(context, command=shell(f"echo > {PLACE}/fails; exit 3"), job_spec_config={"backoff_limit": 0}, **COMMON)
    except DagsterK8sError as error:
        # What it sees first, the Job's condition or the container's end, is left to chance.
        assert "failed job pods" in str(error) or "exited with errors" in str(error), error
        return
    raise AssertionError("a job that failed was taken for a success")


@job
def jobs():
    first()
    fails()


@asset
def piped(context, pipes: PipesK8sClient):
    """The pod speaks through Dagster's own library for pods, over its log."""
    script = (
        "from dagster_pipes import open_dagster_pipes\n"
        "with open_dagster_pipes() as context:\n"
        "    context.report_asset_materialization(data_version='7', metadata={'rows': 3})\n"
        f"open({str(PLACE / 'piped')!r}, 'w').close()\n"
    )
    command = [sys.executable, "-c", script]
    run = pipes.run(context=context, image="busybox:1.36", command=command, namespace="default")
    return run.get_materialize_result()


def main():
    with DagsterInstance.ephemeral() as instance:
        assert jobs.execute_in_process(instance=instance).success
    kubernetes.config.load_kube_config()
    client = PipesK8sClient(load_incluster_config=False, kubeconfig_file=os.environ["KUBECONFIG"], poll_interval=0.5)
    result = materialize([piped], resources={"pipes": client})
    (made,) = result.asset_materializations_for_node("piped")
    assert made.tags["dagster/data_version"] == "7", made.tags
    left = sorted(path.name for path in PLACE.iterdir())
    print("dagster:", left)
    assert left == ["fails", "first", "piped"], left


if __name__ == "__main__":
    main()
