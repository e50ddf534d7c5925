"""The tests with the oldest and the newest versions that pyproject.toml allows: `make test-versions` (needs uv).

Each gets an environment of its own in a temporary folder. First the package is installed there as from an index,
without the pipeline, and the library's own tests run in a folder that holds no sources; then the pipeline is added, and
all tests run in a clone of the last commit. Two downloads of some 3 GB, 7 GB of disk at a time, and twice the time of
`make test`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
TOLD = ("torch", "torchaudio", "numpy", "pandas", "pyarrow", "scipy", "pydantic", "dvc", "mlflow")
LIBRARY = [
    "tests/test_face.py",
    "tests/test_library_page.py",
    "tests/normalization",
    "tests/statistics/test_recorder.py",
    "tests/audio/test_front_end.py",
    "tests/audio/test_clip.py",
]
# fastai allows torch versions of its own; the lock's are among them.
ALL = ["--numprocesses=auto", "--dist=loadfile", "--ignore=tests/parity/test_fastai.py"]


def run(resolution: str, folder: Path) -> int:
    """Install and test one set of versions in ``folder``; returns the first exit code of tests that failed."""
    clone, alone, environment, pins = (folder / name for name in ("clone", "alone", "environment", "pins.txt"))
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    (folder / "shared").symlink_to(ROOT.parent / "shared")  # real audio, where the checkout has it beside it
    shutil.copytree(clone, alone, ignore=shutil.ignore_patterns(".git", "specnorm"))
    pin = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--extra=pipeline", "--output-file", pins]
    subprocess.run(
        [*pin, f"--resolution={resolution}", clone / "pyproject.toml"], stdout=subprocess.DEVNULL, check=True
    )
    print(*(line for line in pins.read_text().splitlines() if line.partition("==")[0] in TOLD), flush=True)

    subprocess.run(["uv", "venv", "--quiet", "--seed", "--python", sys.executable, environment], check=True)
    install = ["uv", "pip", "install", "--quiet", "--python", environment, "--constraints", pins]
    tests = [environment / "bin/python", "-P", "-m", "pytest"]
    # The tests start programs by name, and each process must have the environment's first.
    inside = os.environ | {"PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([*install, clone, "hypothesis", "pytest", "pytest-timeout", "pytest-xdist"], check=True)
    code = subprocess.run([*tests, *LIBRARY], cwd=alone, env=inside).returncode
    subprocess.run([*install, "--editable", f"{clone}[dev]"], check=True)
    return code or subprocess.run([*tests, *ALL], cwd=clone, env=inside).returncode


def main(argv: list[str] | None = None) -> int:
    """Test the sets of versions that are asked for; the code is that of the first that failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.versions", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(RESOLUTIONS), metavar="NAME", help="oldest, newest, or both")
    codes = []
    for name in parser.parse_args(argv).names:
        print(f"The {name} versions:", flush=True)
        with tempfile.TemporaryDirectory(prefix=f"specnorm-{name}-") as folder:
            codes.append(run(RESOLUTIONS[name], Path(folder)))
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
