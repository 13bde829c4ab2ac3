"""What looks at our supplies finds what it is there for."""

import importlib.util
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ci_{name}", ROOT / ".ci" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks itself up there.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


LEAKS, LICENCES = script("leaks"), script("licences")

# Put together here, so that this file is no finding itself.
SECRETS = {
    "a private key": "-----BEGIN " + "EC PRIVATE KEY-----",
    "a Supabase secret key": "sb_" + "secret_abcdefghijklmnopqrstuvwxyz",
    "a Supabase access token": "sbp" + "_" + "0123456789" * 4,
    "a JWT": "eyJhbGciOiJIUzI1NiJ9" + ".eyJyb2xlIjoic2VydmljZV9yb2xlIn0." + "x" * 43,
    "a QStash token": "eyJVc2VySUQiOi" + "JhYmNkZWYiLCJQYXNzd29yZCI6ImFiY2RlZmdoaWprbG1ub3AifQ==",
    "a QStash signing key": "sig" + "_" + "abcdefghij0123456789ABCDEFGH",
    "a password in a URL": "postgresql://" + "postgres:abcdefghijkl@db.project.supabase.co:5432/postgres",
    "a token of GitHub": "gh" + "p_" + "a1" * 18,
    "a key of AWS": "AKIA" + "ABCDEFGHIJKLMNOP",
    "a key of Google": "AIza" + "a" * 35,
    "a key of Stripe": "sk_" + "live_" + "a" * 24,
    "a token of Slack": "xox" + "b-" + "0123456789-0123456789",
}


def test_every_kind_of_secret_is_found_where_it_was_added_and_told_without_itself() -> None:
    assert set(SECRETS) == set(LEAKS.SHAPES)
    for kind, secret in SECRETS.items():
        log = ["commit 0123456789abcdef", "--- a/x", "+++ b/src/x.py", "@@ -1 +1 @@", f'+KEY = "{secret}"', "+pass"]
        [found] = LEAKS.leaks(log)
        assert (found.kind, found.file, found.commit) == (kind, "src/x.py", "0123456789ab")
        assert secret not in str(found)


def test_what_is_public_or_no_secret_is_none() -> None:
    harmless = (
        *LEAKS.PUBLIC,
        "postgresql://postgres:postgres@127.0.0.1:54322/postgres",
        "https://<user>:<password>@x.y",
        "postgresql://postgres:[YOUR-PASSWORD]@db.project.supabase.co:5432/postgres",
    )
    assert list(LEAKS.leaks([f"+{text}" for text in harmless])) == []
    assert list(LEAKS.leaks([f" {secret}" for secret in SECRETS.values()])) == []  # context, added elsewhere


def test_a_lock_is_read_without_its_hashes() -> None:
    hashes = " \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\n    # via b\n"
    lock = f"# made by\na==1{hashes}b[c]==2 ; sys_platform == 'win32'{hashes}"
    assert [str(one) for one in LICENCES.pinned(lock)] == ["a==1", 'b[c]==2; sys_platform == "win32"']


def package(**told: Any) -> Distribution:
    metadata = Message()
    for name, values in told.items():
        for value in values if isinstance(values, tuple) else (values,):
            metadata[name.replace("_", "-")] = value
    return cast(Distribution, SimpleNamespace(metadata=metadata))


@pytest.mark.parametrize(
    ("told", "fits"),
    [
        ({"License_Expression": "MIT"}, True),
        ({"License_Expression": "Apache-2.0 OR GPL-3.0-only"}, True),
        ({"License_Expression": "MIT AND (Apache-2.0 OR BSD-2-Clause)"}, True),
        ({"License": "BSD-3-Clause"}, True),
        ({"Classifier": ("License :: OSI Approved", "License :: OSI Approved :: MIT License")}, True),
        ({"License_Expression": "GPL-3.0-only"}, False),
        ({"License_Expression": "LGPL-3.0-or-later"}, False),
        ({"License_Expression": "AGPL-3.0"}, False),
        ({"License_Expression": "MIT AND GPL-2.0-only"}, False),
        ({"Classifier": "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"}, False),
        ({"License": "Proprietary"}, False),
        ({"License": "A text of\nmany lines"}, False),
        ({"License": ""}, False),
        ({}, False),
    ],
    ids=str,
)
def test_only_licences_that_are_known_and_allowed_pass(told: dict[str, Any], fits: bool) -> None:  # noqa: FBT001
    assert LICENCES.allowed(LICENCES.licence(package(**told))) is fits


def test_all_that_is_pinned_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert LICENCES.main([str(ROOT / lock) for lock in LICENCES.LOCKS], show_all=False) == 0, capsys.readouterr().out
