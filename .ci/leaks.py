"""Looks for secrets in all that was ever committed. Prints where, never what; exits 1 if there is one.

Few and strict shapes, so that a finding is one: those of the services used here, and of keys that anybody would know.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SHAPES = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a Supabase secret key": r"\bsb_secret_[A-Za-z0-9_-]{20,}",
    "a Supabase access token": r"\bsbp_[0-9a-f]{40}\b",
    "a JWT": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    "a QStash token": r"\beyJVc2VySUQiOi[A-Za-z0-9+/=]{30,}",
    "a QStash signing key": r"\bsig_[A-Za-z0-9]{28}\b",
    "a password in a URL": r"\b(?:postgres(?:ql)?|https?|redis)://[^\s:/@'\"<>{}$]+:[^\s:/@'\"<>{}$]{8,}@(?!127\.|[\w.-]*example\.com)[\w-]+\.",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})",
    "a key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a key of Google": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a key of Stripe": r"\b[sr]k_live_[0-9A-Za-z]{24,}",
    "a token of Slack": r"\bxox[abprs]-[0-9A-Za-z-]{20,}",
}

# What the official development servers print for everybody, and what says of itself that it is none.
PUBLIC = (
    "sb_secret_local_development_only",
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImNhbmFyeSJ9.eyJjYW5hcnkiOiJjYW5hcnkifQ.canary_canary-canary0123456789",
    "eyJVc2VySUQiOiJhYmMiLCJQYXNzd29yZCI6ImRlZiJ9",  # of the user "abc"
    "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=",
    "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
    "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
    "sig_0000000000000000000000000001",
    "sig_0000000000000000000000000002",
    "postgresql://postgres:[YOUR-PASSWORD]@db.",  # as Supabase shows a connection string
)

_SHAPES = re.compile("|".join(f"(?P<s{n}>{shape})" for n, shape in enumerate(SHAPES.values())))
_NAMES = list(SHAPES)


@dataclass(frozen=True)
class Leak:
    kind: str
    commit: str
    file: str

    def __str__(self) -> str:
        return f"{self.kind} in {self.file}, commit {self.commit}"


def leaks(log: Iterable[str]) -> Iterator[Leak]:
    """`log`: lines of `git log -p`, of which those that were added are looked at."""
    commit = file = ""
    for line in log:
        if line.startswith("commit "):
            commit = line.split()[1][:12]
        elif line.startswith("+++ "):
            file = line[4:].strip().removeprefix("b/")
        elif line.startswith("+"):
            for found in _SHAPES.finditer(line):
                if found[0] not in PUBLIC and found.lastgroup:
                    yield Leak(_NAMES[int(found.lastgroup[1:])], commit, file)


def main() -> int:
    command = ["git", "log", "-p", "-U0", "--all", "--no-color", "--no-ext-diff", "--text", "--format=commit %H%n%B"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace") as git:
        assert git.stdout
        found = list(dict.fromkeys(leaks(git.stdout)))
    if git.returncode:
        sys.exit("the history could not be read: run this in a clone")
    for leak in found:
        print(leak)
    print(f"{len(found)} secrets in the history" if found else "no secret in the history")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
