"""Which of several processes this is, before torch knows."""

import os


def launched_outside() -> bool:
    """Whether torchrun or SLURM started the processes of this run; otherwise Lightning does, from this one."""
    return "RANK" in os.environ or int(os.environ.get("SLURM_NTASKS", 1)) > 1


def launched_processes() -> int | None:
    """How many processes were started from outside for this run; None: none were, or it is not said."""
    number = os.environ.get("WORLD_SIZE") if "RANK" in os.environ else os.environ.get("SLURM_NTASKS")
    return int(number) if launched_outside() and number is not None else None


def rank() -> int:
    """Rank of this process."""
    if "RANK" in os.environ:
        return int(os.environ["RANK"])
    if launched_outside():
        return int(os.environ["SLURM_PROCID"])
    return int(os.environ.get("LOCAL_RANK", 0))


def main_process() -> bool:
    """Whether this is rank 0, the one that writes."""
    return rank() == 0


def lost_another_process(error: BaseException) -> bool:
    """Whether an error only says that another rank is gone."""
    return isinstance(error, RuntimeError) and (type(error).__name__.startswith("Dist") or "by peer" in str(error))
