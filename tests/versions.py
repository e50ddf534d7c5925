"""The library's own tests with the oldest torch that it takes and with the newest that there is: `make test-versions`.

Each version gets an environment of its own in a temporary folder: the package is built from this checkout and installed
there as from an index, without the pipeline, and the tests run in a folder that holds no sources. Two downloads of some
3 GB, and 7 GB of disk at a time.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Of torchaudio before 2.11, a release fits the torch of its own version alone.
PAIRS = {"oldest": ["torch==2.6.0", "torchaudio==2.6.0"], "newest": ["torch", "torchaudio"]}
TOOLS = ["hypothesis", "pytest", "pytest-timeout"]
TESTS = [
    "tests/test_face.py",
    "tests/test_library_page.py",
    "tests/normalization",
    "tests/statistics/test_recorder.py",
    "tests/audio/test_front_end.py",
    "tests/audio/test_clip.py",
]


def run(pair: list[str], folder: Path) -> int:
    """Install and test one pair in ``folder``; returns the exit code of the tests."""
    sources, environment = folder / "sources", folder / "environment"
    ignored = shutil.ignore_patterns("__pycache__", ".*", "data", "build", "*.egg-info")
    shutil.copytree(ROOT, sources, ignore=ignored)
    venv.create(environment, with_pip=True, symlinks=True)
    python = environment / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pair, *TOOLS, sources]
    subprocess.run(install, check=True)
    shutil.rmtree(sources / "specnorm")  # what is tested is what was installed
    told = "import torch, torchaudio; print('torch', torch.__version__, 'torchaudio', torchaudio.__version__)"
    subprocess.run([python, "-P", "-c", told], check=True)
    return subprocess.run([python, "-P", "-m", "pytest", *TESTS], cwd=sources).returncode


def main() -> int:
    """Test every pair; the code is that of the first that failed."""
    codes = []
    for name, pair in PAIRS.items():
        print(f"{name}: {' '.join(pair)}", flush=True)
        with tempfile.TemporaryDirectory(prefix=f"specnorm-{name}-") as folder:
            codes.append(run(pair, Path(folder)))
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
