"""Comparisons that are killed go on to the same scores: the short form of a script."""

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals of POSIX")


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The predictions of a comparison that nothing disturbs."""
    from interruptions import finish

    return finish(tmp_path_factory.mktemp("undisturbed"))[0]


@pytest.mark.parametrize(("name", "codes"), [("SIGKILL", [-9, 0]), ("SIGTERM", [-15, 143, 0])])
def test_a_comparison_that_is_ended_goes_on_to_the_same_scores(name, codes, expected):
    import signal

    from interruptions import end_by

    assert end_by(getattr(signal, name), codes, expected, seconds=6.0) == []


def test_two_comparisons_in_one_folder_give_the_same_scores(expected):
    from interruptions import run_two_at_once

    assert run_two_at_once(expected) == []
