"""The executor on Ray: embedded in this process on this machine, or a cluster that is there.

Only here is Ray known. A task is one attempt; a task whose worker or machine is lost is tried again elsewhere, and one
whose stage fails is not: the same code fails the same way.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import share
from pipeline.scale import attempt
from pipeline.scale.attempt import Result
from pipeline.scale.executor import ExecutorParams
from pipeline.scale.plan import Plan
from specnorm.errors import ConfigurationError

_LOOK_S = 0.2  # how often finished cells are looked for


def check(params: ExecutorParams) -> None:
    """Refuse at once what cannot go well.

    Raises:
        ConfigurationError: Ray is not installed, or more jobs are asked for than this machine has cores.
    """
    installed()
    # Without a GPU more jobs only slow each other down.
    if params.cluster is None and params.jobs > share.cores() and shutil.which("nvidia-smi") is None:
        raise ConfigurationError(
            "impossible number of jobs",
            where="executor.jobs",
            expected=f"1 to {share.cores()}, the cores that this process may use",
            got=params.jobs,
        )


def run(plan: Plan, environment: Mapping[str, str], params: ExecutorParams, *, gpu: bool = True) -> Iterator[Result]:
    """Run the stages of a plan, as many at a time as there is room for.

    Args:
        plan: the plan.
        environment: what each stage's processes get beside their worker's environment.
        params: what each takes of its machine.
        gpu: whether the stages divide this machine's GPUs, unless ``params`` says how much of one each takes.

    Yields:
        A result a stage, as they come.

    Raises:
        ConfigurationError: Ray is not installed, or no machine has room for a single stage.
    """
    ray = installed()
    ours, address = not ray.is_initialized(), params.cluster
    if ours:
        room: dict[str, Any] = {}
        if address is None:
            room = {"num_cpus": params.jobs * params.cpus, "include_dashboard": False}
            # A stage without a GPU of its own sees those that the machine has, as without Ray.
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ending = signal.getsignal(signal.SIGTERM)
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **room)
        signal.signal(signal.SIGTERM, ending)  # Ray's own ends this process before its work is unwound
    try:
        gpus = params.gpus
        if gpus is None:
            here = int(ray.cluster_resources().get("GPU", 0)) if gpu and not address else 0
            gpus = 1 / -(-params.jobs // here) if here else 0.0  # of the GPU that has the most of them
        memory = share.environment(share.threads(environment), gpus, environment) if gpus else {}
        yield from _results(ray, plan, {**environment, **memory}, params, gpus)
    finally:
        if ours:
            ray.shutdown()


def installed() -> Any:
    """The package.

    Raises:
        ConfigurationError: it is not there.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            "Ray is not installed", hint="pip install 'specnorm[ray]' brings it; one job at a time needs none"
        ) from error
    return ray


def _results(
    ray: Any, plan: Plan, environment: Mapping[str, str], params: ExecutorParams, gpus: float
) -> Iterator[Result]:
    memory = None if params.memory_gb is None else params.memory_gb * 1e9
    asked = {"CPU": params.cpus, "GPU": gpus, "memory": memory}
    wanted = {kind: amount for kind, amount in asked.items() if amount}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(each.get(kind, 0.0) >= amount for kind, amount in wanted.items()) for each in machines):
        raise ConfigurationError(
            "no machine of the cluster has room for a cell", expected=wanted, got=ray.cluster_resources()
        )
    # Another machine has no clone of this project, so the attempt travels as what it is and not as a name.
    ray.cloudpickle.register_pickle_by_value(attempt)
    bundle, told = ray.put(Path(plan.bundle).read_bytes()), asdict(plan)
    options = {"num_cpus": params.cpus, "num_gpus": gpus, "memory": memory, "max_retries": params.max_retries}
    task = ray.remote(**options, retry_exceptions=False)(attempt.run)
    running = {task.remote(told, name, bundle, dict(environment)): name for name in plan.work}
    while running:
        ready, _ = ray.wait(list(running), num_returns=1, timeout=0)
        if not ready:
            time.sleep(_LOOK_S)  # here and not in Ray, which makes another error of a signal's
        for reference in ready:
            name = running.pop(reference)
            try:
                found = ray.get(reference)
            except ray.exceptions.RayError as error:  # lost as often as it may be tried again
                yield Result(name, 1, 0.0, "no machine", None, None, [str(error).strip().partition("\n")[0]])
            else:
                yield Result(**vars(found))
