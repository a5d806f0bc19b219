"""Debian's packages for any machine, unpacked in a folder; nothing is installed."""

from __future__ import annotations

from pathlib import Path

from tests.wheels.building import run

__all__ = ["unpack"]


def unpack(work: Path, architecture: str, *packages: str) -> Path:
    """
    Unpack packages and what they depend on.

    Args:
        work: A folder for all that is made.
        architecture: Debian's name of the machine, "arm64".
        packages: Their names.

    Returns:
        The folder that holds them, as ``/`` would.

    """
    state = work / f"debian/{architecture}-{packages[0]}"
    root = state / "root"
    stamp = state / "have"
    if stamp.exists():
        return root
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()  # nothing is installed
    options = [
        f"Dir::State::lists={state}/lists",
        f"Dir::State::status={state}/status",
        f"Dir::Cache={state}/cache",
        f"APT::Architecture={architecture}",
        f"APT::Architectures={architecture}",
        "APT::Sandbox::User=root",
        "Acquire::Retries=3",
    ]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    run([*apt, "update"])
    run(
        [
            *(*apt, "-y", "--download-only", "--no-install-recommends"),
            *("install", *packages),
        ]
    )
    for package in sorted((state / "cache/archives").glob("*.deb")):
        run(["dpkg", "-x", package, root])
    stamp.touch()
    return root
