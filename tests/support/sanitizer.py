"""What AddressSanitizer changes for tests that measure the memory of a process."""

from __future__ import annotations

import os

#: Whether this is a run of `make asan`, which loads the library before all others.
UNDER_ASAN = "libasan" in os.environ.get("LD_PRELOAD", "")

#: Octets that a measured process may hold beyond what it is allowed: what it has freed,
#: 1 MiB of it and 64 KiB for each thread, and what surrounds each allocation.
KEPT = 2 << 20 if UNDER_ASAN else 0


def measured() -> dict[str, str]:
    """
    Return the variables of the environment of a process whose memory is measured.

    AddressSanitizer gives nothing back before 256 MiB have been freed. Of what is
    measured it keeps 1 MiB; of all others it keeps as much as ever.
    """
    if not UNDER_ASAN:
        return {}
    small = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    return {"ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:{small}"}
