"""The libraries and the options of the binary."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.stack import ROOT, default_binary

# libevent, hiredis, libcrypto, libc and libstdc++, and the libraries that belong to the last two.
ALLOWED = re.compile(
    r"linux-vdso\.so|ld-linux|libevent_(core|extra)-2\.1\.so|libhiredis\.so|libcrypto\.so\.3"
    r"|libc\.so\.6|libm\.so\.6|libstdc\+\+\.so\.6|libgcc_s\.so\.1"
)


def libraries(binary):
    out = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    return [Path(line.split()[0]).name for line in out.splitlines()]


@pytest.mark.release
def test_the_binary_links_only_libevent_hiredis_libcrypto_libc_and_libstdcpp():
    found = libraries(ROOT / "build/release/tailgate")
    assert any(name.startswith("libevent_core") for name in found)
    assert [name for name in found if not ALLOWED.match(name)] == []


def test_the_binary_prints_its_version_and_its_usage():
    binary = os.environ.get("TAILGATE_BINARY", ROOT / "build/release/tailgate")
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    assert re.match(r"tailgate \S+", version.stdout)
    usage = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True)
    for word in ("--config", "--check", "--set", "--print"):
        assert word in usage.stdout


def test_the_version_is_printed_as_one_line():
    done = subprocess.run([default_binary(), "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"tailgate \S+\n", done.stdout) and done.stderr == ""
