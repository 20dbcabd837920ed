"""Airflow's operators for pods and Jobs, unmodified, on the cluster that KUBECONFIG names.

LAUNCHED is where the commands leave what they did; AIRFLOW_HOME and its database are the caller's. No task pushes an
XCom: the operator ends the sidecar that holds it by a kill of every process whose command line has `sh` in it, which
of host processes are the whole user's.
"""

import os
import sys
from datetime import datetime, timezone
from pathlib import Path

from airflow.providers.cncf.kubernetes.operators.job import KubernetesJobOperator
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

PLACE = Path(os.environ["LAUNCHED"])


def common(name, script):
    return {
        "task_id": name,
        "name": name.replace("_", "-"),
        "namespace": "default",
        "image": "busybox:1.36",
        "cmds": ["sh", "-c"],
        "arguments": [f"echo said by {name}; {script}"],
        "labels": {"launched-by": "airflow"},
        "env_vars": {"PLACE": str(PLACE)},
        "config_file": os.environ["KUBECONFIG"],
        "in_cluster": False,
        "get_logs": True,
        "startup_timeout_seconds": 300,
    }


def leaves(name):
    return f"echo $PLACE > $PLACE/{name}"


with DAG("launched", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), schedule=None) as dag:
    pod = KubernetesPodOperator(**common("pod", leaves("pod")))
    # Runs long enough for its log to be followed, then through the asynchronous client of the triggerer.
    deferred = KubernetesPodOperator(
        **common("deferred", f"sleep 3; {leaves('deferred')}"), deferrable=True, poll_interval=1
    )
    several = KubernetesJobOperator(
        **common("several", f"{leaves('several')}-$JOB_COMPLETION_INDEX"),
        wait_until_job_complete=True,
        job_poll_interval=1,
        completions=2,
        parallelism=1,
        completion_mode="Indexed",
        backoff_limit=0,
    )
    fails = KubernetesPodOperator(**common("fails", f"{leaves('fails')}; exit 3"), retries=0)
    pod >> deferred >> several >> fails


def main():
    run = dag.test()
    states = {task.task_id: str(task.state).split(".")[-1].lower() for task in run.get_task_instances()}
    wanted = {"pod": "success", "deferred": "success", "several": "success", "fails": "failed"}
    left = sorted(path.name for path in PLACE.iterdir())
    print("airflow:", states, left)
    assert states == wanted, states
    assert left == ["deferred", "fails", "pod", "several-0", "several-1"], left


if __name__ == "__main__":
    sys.exit(main())
