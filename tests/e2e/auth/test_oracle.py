"""A short form of `make oracle`: random tokens, judged by the gateway and by PyJWT."""

import os
import subprocess
from pathlib import Path

from support.stack import ROOT


def test_the_gateway_and_pyjwt_give_the_same_verdicts_on_500_random_tokens():
    binary = Path(os.environ.get("TAILGATE_BINARY", ROOT / "build/release/tailgate"))
    program = binary.with_name("judge_tokens")
    assert program.exists(), f"make {program.relative_to(ROOT)} builds the program that judges the tokens"
    seed = int.from_bytes(os.urandom(2), "big")
    done = subprocess.run(
        ["/usr/bin/python3", ROOT / "tests/conformance/oracle", "--tokens=500", f"--seed={seed}", f"--program={program}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
