"""Memory, open files and threads stay the same over many fits: the short form of a script."""

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.parametrize("name", ["modality-aware network", "cross-modal network"])
def test_files_and_threads_do_not_grow_with_the_number_of_fits(name):
    from repeated_fits import MODELS, is_flat, measure

    assert is_flat(measure(MODELS[name], 8))
