"""Collect what the GPU benchmark needs beside torch, as wheels for a machine without a network: `make wheels`.

There: `pip install --no-index --no-deps build/wheels/*.whl`, then `make bench-gpu`. The versions are those of this
environment, which was made from the lock. `--have` leaves out what that machine has, as its `pip freeze` lists it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What the machine has, with what CUDA brings along; and fastai's text part, which no benchmark imports.
LEFT = {"torch", "torchaudio", "spacy", "pip"}
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 26, 24, 17, 12, 5)]


def needed(python: str) -> dict[str, str]:
    """Versions of all that the project and its measuring need under ``python`` on Linux, by package."""
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    waiting = [Requirement(text) for text in project["dependencies"] + extras["pipeline"] + extras["parity"]]
    found: dict[str, str] = {}
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in LEFT or (name, *sorted(requirement.extras)) in seen:
            continue
        seen.add((name, *sorted(requirement.extras)))
        found[name] = importlib.metadata.version(name)
        for other in map(Requirement, importlib.metadata.requires(name) or []):
            if other.marker is None or any(
                other.marker.evaluate({**environment, "extra": extra}) for extra in {"", *requirement.extras}
            ):
                waiting.append(other)
    return found


def main(argv: list[str] | None = None) -> int:
    """Download, or build where the index has the source alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wheels", description=__doc__)
    parser.add_argument("--python", default="3.12", help="the other machine's Python")
    parser.add_argument("--have", type=Path, help="a list of packages, one a line, as `pip freeze` writes it")
    parser.add_argument("--out", type=Path, default=Path("build/wheels"))
    parsed = parser.parse_args(argv)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    listed = parsed.have.read_text(encoding="utf-8").splitlines() if parsed.have else []
    have = {canonicalize_name(re.split("[^A-Za-z0-9._-]", line)[0]) for line in listed}
    for name, version in sorted(needed(parsed.python).items()):
        if name in have:
            continue
        pinned = f"{name}=={version}"
        target = ["--only-binary=:all:", "--python-version", parsed.python]
        target += [option for platform in PLATFORMS for option in ("--platform", platform)]
        command = [*pip, "download", "--no-deps", *target, pinned, "--dest", str(parsed.out)]
        if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
            built = set(parsed.out.glob("*"))
            subprocess.run([*pip, "wheel", "--no-deps", pinned, "--wheel-dir", str(parsed.out)], check=True)
            for wheel in set(parsed.out.glob("*")) - built:
                if not wheel.stem.endswith("-none-any"):
                    raise SystemExit(f"{wheel.name} is no wheel for Python {parsed.python}, and the index has none")
    size = sum(path.stat().st_size for path in parsed.out.iterdir()) / 2**20
    print(f"{len(list(parsed.out.iterdir()))} wheels, {size:.0f} MiB, in {parsed.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
