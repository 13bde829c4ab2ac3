"""How many executions one process makes ready for an opening within the lead."""

PRESUMED_CPU_S = 0.005  #: of one execution, where it was not measured
_SHARE_OF_LEAD = 0.5  # in which the process has the processor: the database and QStash need some of it
_LEAST_CPU_S = 1e-4


def ready_within(lead_s: float, cpu_s: float = PRESUMED_CPU_S) -> int:
    """`cpu_s`: the CPU time that making one execution ready takes."""
    return int(lead_s * _SHARE_OF_LEAD / max(cpu_s, _LEAST_CPU_S))
