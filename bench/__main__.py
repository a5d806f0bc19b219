"""
All benchmarks: ``python -m bench [DIRECTORY]``.

The micro benchmarks first, then the load benchmark; reports go to DIRECTORY, by default
``artifacts/bench``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent


def main() -> int:
    output = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "artifacts" / "bench")
    output.mkdir(parents=True, exist_ok=True)
    commands = [
        [
            "pytest",
            str(HERE / "micro"),
            "--benchmark-max-time=0.3",  # there are hundreds of them
            "--benchmark-group-by=group",
            "--benchmark-columns=min,median,rounds",
            f"--benchmark-json={output / 'micro.json'}",
        ],
        ["bench.load", "--output", str(output)],
    ]
    codes = [
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode
        for command in commands
    ]
    print(f"reports are in {output}")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
