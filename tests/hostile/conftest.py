"""What the hostile tests share: sound runs to damage."""

import pytest

from tests.hostile.bases import Bases


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> Bases:
    return Bases(tmp_path_factory.mktemp("bases"))
