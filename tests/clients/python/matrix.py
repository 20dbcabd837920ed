"""The Python client of Kubernetes, unmodified, through every call that users of Jobs make.

Run with KUBECONFIG naming a cluster that runs the commands of images (`windlass up --ephemeral --images=host`). Says
`ok NAME` for each situation; the first that is not as it should be ends it with its traceback. It makes its own
namespace and knows nothing of the server but what upstream's documentation says of it.
"""

import sys

from kubernetes import client, config

import jobs
import pods
import remote
import watches
import writers

NAMESPACE = "matrix"


def main():
    config.load_kube_config()
    core = client.CoreV1Api()
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    wanted = sys.argv[1:]
    count = 0
    for module in (jobs, writers, watches, pods, remote):
        for situation in module.SITUATIONS:
            name = f"{module.__name__}.{situation.__name__}"
            if wanted and name not in wanted:
                continue
            situation(NAMESPACE)
            count += 1
            print("ok", name, flush=True)
    assert count, f"no situation is called {wanted}"
    core.delete_namespace(NAMESPACE)
    print(f"{count} situations", flush=True)


if __name__ == "__main__":
    main()
