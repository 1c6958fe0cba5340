"""A system with default settings, which the tests of one file share."""

import pytest

from support.nginx_system import running


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with running(tmp_path_factory.mktemp("nginx") / "up") as started:
        yield started
