"""All benchmarks, each in a process of its own: `python -m benchmarks`."""

import subprocess
import sys
from pathlib import Path

for name in ("losses", "evaluation", "step", "variation", "universal", "adversarial", "startup", "scenes"):
    print(f"\n## {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=Path(__file__).parent.parent, check=True)
