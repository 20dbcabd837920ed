"""Prefect's launchers of Jobs, unmodified, on the cluster that KUBECONFIG names: the block and the Kubernetes worker.

LAUNCHED is where the commands leave what they did. The Prefect server that the worker asks is one of its own, on
loopback; the Job's flow run finds it, as it is a process of this host.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

PLACE = Path(os.environ["LAUNCHED"])
HERE = Path(__file__).parent
PREFECT = str(Path(sys.executable).parent / "prefect")


def job(name, script):
    container = {"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", script]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"backoffLimit": 0, "template": template},
    }


def blocks():
    """A flow that starts a Job and waits for it, once for one that succeeds and once for one that fails."""
    from prefect import flow
    from prefect_kubernetes import KubernetesJob

    @flow
    def launches():
        good = KubernetesJob(v1_job=job("good", f"echo said; touch {PLACE}/block"), interval_seconds=1)
        run = good.trigger()
        run.wait_for_completion()
        (said,) = run.fetch_result().values()
        assert said == "said\n", said
        bad = KubernetesJob(v1_job=job("bad", "exit 3"), interval_seconds=1, delete_after_completion=False)
        run = bad.trigger()
        try:
            run.wait_for_completion()
        except RuntimeError as error:
            # Which condition it sees first, FailureTarget or Failed with its reason, is left to chance.
            assert "'bad' failed due to" in str(error), error
        else:
            raise AssertionError("a Job that failed was taken for a success")

    launches()


def worker():
    """A flow run that is scheduled, taken by the worker, and executed in the Job that it makes."""
    from prefect import flow
    from prefect.deployments import run_deployment
    from prefect.flow_runs import wait_for_flow_run

    prefect("work-pool", "create", "jobs", "--type", "kubernetes")
    variables = {
        "command": f"{PREFECT} flow-run execute",
        "image": "busybox:1.36",
        "namespace": "default",
        "env": {name: os.environ[name] for name in ("LAUNCHED", "HOME", "PATH", "PYTHONDONTWRITEBYTECODE")},
    }
    inside = flow.from_source(source=str(HERE), entrypoint="flows.py:inside")
    made = inside.deploy(name="inside", work_pool_name="jobs", job_variables=variables, build=False, push=False)
    run = run_deployment(made, parameters={"word": "worker"}, timeout=0)
    taken = prefect("worker", "start", "--pool", "jobs", "--run-once")
    ended = asyncio.run(wait_for_flow_run(run.id, timeout=180))
    assert ended.state.is_completed(), f"{ended.state}\n{taken}"


def prefect(*arguments):
    done = subprocess.run([PREFECT, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def main():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    server = subprocess.Popen([PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)])
    try:
        until = time.monotonic() + 180
        while True:
            try:
                urlopen(os.environ["PREFECT_API_URL"] + "/health", timeout=10).read()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < until, "Prefect's server does not answer"
                time.sleep(0.2)
        blocks()
        worker()
    finally:
        server.terminate()
        server.wait()
    left = sorted(path.name for path in PLACE.iterdir())
    print("prefect:", left)
    assert left == ["block", "worker"], left


if __name__ == "__main__":
    main()
