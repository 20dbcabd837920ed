"""One watch of the Jobs of a namespace, for as long as it is left to run: a line for each event, as it comes.

`hour.py forever` names no time: the server ends the watch when it likes, and the library begins another. `hour.py limited`
asks for five minutes at a time, and says `BEGINS` when it begins another from where the last one ended.
"""

import sys

from kubernetes import config, watch

from common import batch


def tell(event):
    metadata = event["raw_object"]["metadata"]
    words = [event["type"], metadata.get("name"), metadata["resourceVersion"]]
    print(*[word for word in words if word], flush=True)


def main():
    config.load_kube_config()
    (how,) = sys.argv[1:]
    jobs, options = batch().list_namespaced_job, {"allow_watch_bookmarks": True}
    if how == "forever":
        for event in watch.Watch().stream(jobs, "default", **options):
            tell(event)
        raise AssertionError("the library gave up")
    assert how == "limited", how
    while True:
        print("BEGINS", flush=True)
        watcher = watch.Watch()
        for event in watcher.stream(jobs, "default", timeout_seconds=300, **options):
            tell(event)
        options["resource_version"] = watcher.resource_version


if __name__ == "__main__":
    main()
