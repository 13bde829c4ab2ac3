"""What is installed does not depend on what is newest in the registry: newer versions of everything are on offer."""

import hashlib
import re
import sys
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from tests.installation.environments import Environment, copy_checkout, pinned, run

pytestmark = pytest.mark.installation

SERVICE, LOCAL, BUILD = "requirements.lock", ".requirements/local.lock", ".requirements/build.lock"
INSTALLER, TOOLS = ".requirements/installer.lock", ".requirements/dev.lock"
NEWER = "9999.0"


@pytest.fixture(scope="module")
def offer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings that offer pip and uv a newer version of each package of the locks, and of pip itself."""
    folder = tmp_path_factory.mktemp("newer")
    for name in (*pinned(SERVICE, LOCAL, BUILD, INSTALLER, TOOLS), "pip", "setuptools", "wheel"):
        write_wheel(folder, name)
    # Without an isolated cache a newer version that was seen once would be offered for good.
    return {"PIP_FIND_LINKS": str(folder), "UV_FIND_LINKS": str(folder), "UV_CACHE_DIR": str(folder / "cache")}


def write_wheel(folder: Path, name: str) -> None:
    """A package whose import fails, at a version that is newer than any."""
    module = name.replace("-", "_")
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {NEWER}\nProvides-Extra: toml\nProvides-Extra: crypto\n"
    files = {
        f"{module}.py": "raise RuntimeError('a newer version than the lock names was installed')\n",
        f"{module}-{NEWER}.dist-info/METADATA": metadata,
        f"{module}-{NEWER}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{module}-{NEWER}.dist-info/RECORD"
    with zipfile.ZipFile(folder / f"{module}-{NEWER}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        digests = {path: urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for path, text in files.items()}
        rows = [f"{path},sha256={digest.decode().rstrip('=')},{len(files[path])}" for path, digest in digests.items()]
        wheel.writestr(record, "\n".join([*rows, f"{record},,"]))


def test_the_newer_versions_would_be_taken_where_nothing_is_pinned(offer: dict[str, str], tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    pip = (tmp_path / "venv/bin/python", "-m", "pip", "install", "--quiet")
    run(*pip, "coverage[toml]", cwd=tmp_path, env=offer)

    assert Environment(tmp_path / "venv").installed() == {"coverage": NEWER}


def test_make_installs_what_is_pinned(offer: dict[str, str], tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path)

    run("make", "install", f"PYTHON={sys.executable}", cwd=checkout, env=offer)
    assert Environment(checkout / ".venv").installed() == pinned(SERVICE, LOCAL, BUILD, INSTALLER)

    run("make", ".venv/.tools", cwd=checkout, env=offer)
    assert Environment(checkout / ".venv").installed() == pinned(SERVICE, LOCAL, BUILD, INSTALLER, TOOLS)
    run(checkout / ".venv/bin/uv", "pip", "check", "--python", checkout / ".venv/bin/python", cwd=checkout)
    run(checkout / ".venv/bin/prebooking", "--version", cwd=tmp_path)


def test_production_installs_what_is_pinned(offer: dict[str, str], tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path)

    run(checkout / ".deploy/install", tmp_path / "production", cwd=tmp_path, env={"PYTHON": sys.executable, **offer})

    assert Environment(tmp_path / "production").installed() == pinned(SERVICE)


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("platform", ["x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin"])
def test_every_pin_has_a_wheel_for_each_promised_python(python: str, platform: str, tmp_path: Path) -> None:
    wanted = ("--python-version", python, "--python-platform", platform, "--only-binary", ":all:", "--no-deps")
    locks = [part for lock in (SERVICE, LOCAL, BUILD, INSTALLER, TOOLS) for part in ("-r", lock)]
    uv = Path(sys.prefix) / "bin/uv"

    run(uv, "pip", "install", "--dry-run", "--target", tmp_path, *wanted, *locks, cwd=Path(__file__).parents[2])


def test_no_package_is_pinned_in_two_versions() -> None:
    locks = [*Path(__file__).parents[2].glob(".requirements/*.lock"), Path(__file__).parents[2] / SERVICE]
    versions: dict[str, set[str]] = {}
    for lock in locks:
        for name, version in pinned(str(lock)).items():
            versions.setdefault(re.sub(r"[-_.]+", "-", name), set()).add(version)

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
