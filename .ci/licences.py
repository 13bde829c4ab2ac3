"""Checks the licence of all that is pinned, as its own metadata tells it; exits 1 where one is unknown or not allowed.

    python .ci/licences.py [--all] [lock files]      --all: lists those that are allowed, too

Allowed is what may be used in a service without a duty to publish it. What is pinned for other systems only is not
installed, and named so.
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

# What a service, a demo and a test need; pip-audit and the drawing of benchmarks have environments of their own.
LOCKS = ["requirements.lock", *(f".requirements/{group}.lock" for group in ("local", "installer", "build", "dev"))]

ALLOWED = {
    *(
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "0BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSD",
        "Apache-2.0",
        "ISC",
        "Zlib",
        "Unlicense",
    ),
    *("PSF-2.0", "Python-2.0", "CNRI-Python", "HPND", "CC0-1.0", "PostgreSQL"),
    "MPL-2.0",  # binds changes to its own files alone
}

# As metadata spelled them before SPDX expressions.
_SPELLED = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "PSFL": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}

# Whose metadata is silent, but whose licence file was read.
_READ = {"axe-playwright-python": "MIT AND MPL-2.0"}


def pinned(lock: str) -> list[Requirement]:
    """The requirements of a lock file, without their hashes."""
    lines = re.sub(r"\\\n", " ", lock).splitlines()
    return [Requirement(line.partition(" --hash")[0]) for line in lines if re.match(r"[A-Za-z0-9]", line)]


def licence(package: Distribution) -> str:
    """An SPDX expression, or what the package says instead, or `unknown`."""
    told = package.metadata
    if told.get("License-Expression"):
        return str(told["License-Expression"])
    classifiers = [c.rpartition(" :: ")[2] for c in told.get_all("Classifier") or () if c.startswith("License :: ")]
    names = [name for name in classifiers if name != "OSI Approved"] or [(told.get("License") or "").strip()]
    return " AND ".join(_SPELLED.get(name, name) for name in names if "\n" not in name) or "unknown"


def allowed(expression: str) -> bool:
    """Of alternatives one will do, of parts each must."""
    alternatives = expression.replace("(", "").replace(")", "").split(" OR ")
    return any(all(part.strip() in ALLOWED for part in one.split(" AND ")) for one in alternatives)


def main(locks: list[str], *, show_all: bool) -> int:
    wanted = {one.name: one for lock in locks for one in pinned(Path(lock).read_text(encoding="utf-8"))}
    refused = 0
    for name, requirement in sorted(wanted.items()):
        try:
            found = _READ.get(name) or licence(distribution(name))
            fits = allowed(found)
        except PackageNotFoundError:
            elsewhere = requirement.marker is not None and not requirement.marker.evaluate()
            found, fits = ("not for this system" if elsewhere else "not installed: make install"), elsewhere
        refused += not fits
        if show_all or not fits:
            print(f"{name:<32} {found}{'' if fits else '   NOT ALLOWED'}")
    print(f"{len(wanted)} licences, {refused} not allowed")
    return 1 if refused else 0


if __name__ == "__main__":
    locks = [argument for argument in sys.argv[1:] if argument != "--all"]
    sys.exit(main(locks or LOCKS, show_all="--all" in sys.argv))
