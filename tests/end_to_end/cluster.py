"""Ray clusters in one box: several raylets, and one behind a network that can be cut."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.held import wait_until

_SMALL = {"object_store_memory": 80_000_000}
# A machine that falls silent is given up after three seconds.
_HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
_OTHER_DISK = 'mount -t tmpfs none "$1" && shift && exec "$@"'  # in the mounts that `ip` makes for it
# Ray's own are minutes. A server that is asked more often than it was told to expect hangs up, so all have to know.
_KEEPALIVE = {"RAY_grpc_client_keepalive_time_ms": "5000", "RAY_grpc_client_keepalive_timeout_ms": "3000"}
_HERE, _THERE = "10.213.7.1", "10.213.7.2"


def can_be_cut() -> bool:
    """Whether this process may make networks."""
    return (
        os.geteuid() == 0
        and shutil.which("ip") is not None
        and _ip("netns", "add", "specnorm-try") == 0 == _ip("netns", "del", "specnorm-try")
    )


@dataclass
class Cluster:
    """A head without cores, to which nodes are added; this process is its driver."""

    made: Any
    at: dict[str, str]  # the machine's address, where it has one of several

    def add(self, cpus: int = 1, gpus: int = 0) -> Any:
        """Add a raylet on this machine."""
        node = self.made.add_node(num_cpus=cpus, num_gpus=gpus, **self.at, **_SMALL)
        self.made.wait_for_nodes()
        return node

    def lose(self, process: int) -> None:
        """Kill the raylet that a process belongs to, with all that is its own."""
        (node,) = [
            node
            for node in self.made.worker_nodes
            if process in [info.process.pid for infos in node.all_processes.values() for info in infos]
        ]
        self.made.remove_node(node, allow_graceful=False)


@contextmanager
def started(address: str | None = None) -> Iterator[Cluster]:
    """Start a cluster of a head alone."""
    import ray
    from ray.cluster_utils import Cluster as Made

    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ |= _KEEPALIVE  # of all of it, since all of it is started here
    at = {} if address is None else {"node_ip_address": address}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": _HEALTH, **at, **_SMALL}
    made = Made(initialize_head=True, head_node_args=head)
    try:
        ray.init(
            address=made.address,
            log_to_driver=False,
            logging_level="ERROR",
            **{f"_{name}": value for name, value in at.items()},
        )
        yield Cluster(made, at)
    finally:
        ray.shutdown()
        made.shutdown()


@contextmanager
def apart(disk: Path) -> Iterator[Cluster]:
    """Start a cluster whose only raylet is behind a network of its own, which :func:`cut` cuts.

    Args:
        disk: a folder of which it has another one.
    """
    place = "specnorm0"
    raylet = None
    try:
        for words in (
            f"netns add {place}",
            f"link add {place} type veth peer name {place}-1 netns {place}",
            f"addr add {_HERE}/30 dev {place}",
            f"link set {place} up",
            f"-n {place} addr add {_THERE}/30 dev {place}-1",
            f"-n {place} link set {place}-1 up",
            f"-n {place} link set lo up",
        ):
            assert _ip(*words.split()) == 0, words
        with started(_HERE) as cluster:
            start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
            start += [f"--address={cluster.made.address}", f"--node-ip-address={_THERE}"]
            start += [f"--object-store-memory={_SMALL['object_store_memory']}"]
            raylet = subprocess.Popen(
                ["ip", "netns", "exec", place, "sh", "-c", _OTHER_DISK, "sh", str(disk), *start],
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            wait_until(lambda: _cpus() >= 1, 60)
            yield cluster
    finally:
        if raylet is not None:
            with suppress(ProcessLookupError):  # one that is cut off does not hear anything less
                os.killpg(raylet.pid, signal.SIGKILL)
            raylet.wait()
        _ip("link", "del", place)
        _ip("netns", "del", place)


def cut() -> None:
    """Let nothing pass to the raylet that is apart, and nothing be said of it."""
    assert _ip("link", "set", "specnorm0", "down") == 0


def _cpus() -> float:
    import ray

    return float(ray.cluster_resources().get("CPU", 0))


def _ip(*words: str) -> int:
    return subprocess.run(["ip", *words], stderr=subprocess.DEVNULL, check=False).returncode
