"""Tables that are checked in one test."""

import pytest

from tests.cells import Cells


def check(*cells: tuple[str, object]) -> None:
    """Hold a table whose cells are right where they are True; an exception is raised."""
    with Cells() as table:
        for name, holds in cells:
            with table.cell(name):
                if isinstance(holds, Exception):
                    raise holds
                assert holds, "it is another"


def test_each_cell_that_does_not_hold_is_named() -> None:
    with pytest.raises(AssertionError, match="2 of 3 cells do not hold") as raised:
        check(("first", False), ("second", True), ("third", KeyError("code")))
    told = str(raised.value)
    assert "first: AssertionError: it is another" in told
    assert "third: KeyError: 'code'" in told
    assert "second" not in told


def test_a_table_whose_cells_hold_is_right_and_one_without_cells_is_not() -> None:
    check(("first", True), ("second", True))
    with pytest.raises(AssertionError, match="no cells"):
        check()


def test_what_is_raised_between_cells_is_told_as_it_is() -> None:
    def broken() -> None:
        with Cells() as table:
            with table.cell("first"):
                raise AssertionError("wrong")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
