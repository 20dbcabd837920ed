"""Programs beside a container and attachment to it, over WebSocket."""

from kubernetes import client
from kubernetes.stream import portforward, stream

from common import PATIENCE, core, phase, pod, refused, until


def exec_api():
    """The call replaces a method of its client for a while: one of its own for each."""
    return client.CoreV1Api(client.ApiClient())


def program(namespace, command, **options):
    defaults = {"stderr": True, "stdin": False, "stdout": True, "tty": False}
    return stream(
        exec_api().connect_get_namespaced_pod_exec, "shed", namespace, command=command, **{**defaults, **options}
    )


def programs_answer(namespace):
    core().create_namespaced_pod(namespace, pod("shed", "exec sleep 600"))
    until(core().list_namespaced_pod, namespace, "shed", phase("Running"))
    assert program(namespace, ["echo", "a b", "c"]) == "a b c\n"
    both = program(namespace, ["sh", "-c", "echo out; echo err >&2; exit 7"], _preload_content=False)
    both.run_forever(timeout=PATIENCE)
    assert both.read_stdout() == "out\n" and both.read_stderr() == "err\n"
    assert both.returncode == 7
    both.close()


def programs_read(namespace):
    reader = program(namespace, ["sh", "-c", "read line; echo \"<$line>\"; cat"], stdin=True, _preload_content=False)
    reader.write_stdin("over the wire\n")
    assert reader.readline_stdout(timeout=PATIENCE) == "<over the wire>"
    reader.write_stdin("more\n")
    assert reader.readline_stdout(timeout=PATIENCE) == "more"
    reader.close()


def terminals_have_a_size(namespace):
    shell = program(namespace, ["sh"], stdin=True, tty=True, _preload_content=False)
    shell.write_channel(4, '{"Width": 97, "Height": 31}')
    # What was said last is lost to who reads lines when the connection has ended: the shell goes on until it was read.
    shell.write_stdin("until stty size | grep '31 97'; do sleep 0.05; done; echo fou''nd\n")
    seen = ""
    while "found" not in seen:
        assert shell.is_open(), seen
        seen += shell.readline_stdout(timeout=PATIENCE) + "\n"
    shell.write_stdin("exit 5\n")
    shell.run_forever(timeout=PATIENCE)
    assert shell.returncode == 5, seen
    shell.close()


def what_cannot_be_is_told(namespace):
    missing = program(namespace, ["windlass-absent"], _preload_content=False)
    missing.run_forever(timeout=PATIENCE)
    said = missing.read_channel(3) if missing.returncode is None else ""
    assert missing.returncode != 0, said
    call = exec_api().connect_get_namespaced_pod_exec
    refused(0, stream, call, "nowhere", namespace, command=["true"], stdout=True)
    call = exec_api().connect_get_namespaced_pod_portforward
    assert "405" in refused(0, portforward, call, "shed", namespace, ports="80")


def attached(namespace):
    made = pod("reads", "read line; echo \"<$line>\"; read rest; exit 3")
    made["spec"]["containers"][0].update({"stdin": True, "stdinOnce": True})
    core().create_namespaced_pod(namespace, made)
    until(core().list_namespaced_pod, namespace, "reads", phase("Running"))
    wire = stream(
        exec_api().connect_get_namespaced_pod_attach,
        "reads",
        namespace,
        stdin=True,
        stdout=True,
        stderr=True,
        tty=False,
        _preload_content=False,
    )
    wire.write_stdin("hello\n")
    assert wire.readline_stdout(timeout=PATIENCE) == "<hello>"
    wire.write_stdin("enough\n")
    wire.run_forever(timeout=PATIENCE)
    wire.close()
    ended = until(core().list_namespaced_pod, namespace, "reads", phase("Failed"))
    assert ended.status.container_statuses[0].state.terminated.exit_code == 3


def cleared(namespace):
    core().delete_namespaced_pod("shed", namespace, grace_period_seconds=0)
    core().delete_namespaced_pod("reads", namespace)


SITUATIONS = [programs_answer, programs_read, terminals_have_a_size, what_cannot_be_is_told, attached, cleared]
