"""How long the command line takes to answer before any work starts (target: 2 s each).

python -m benchmarks.startup
"""

import statistics
import subprocess
import sys
import time

COMMANDS = (["--help"], ["--cfg", "job", "experiment=uniseg_cibm"])


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "mdseg.run", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    for arguments in COMMANDS:
        median = statistics.median(seconds(arguments) for _ in range(5))
        print(f"python -m mdseg.run {' '.join(arguments)}: {median:.2f} s")


if __name__ == "__main__":
    main()
