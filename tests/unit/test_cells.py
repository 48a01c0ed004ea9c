"""Tables that are checked in one test."""

import pytest

from tests.cells import Cells


def test_each_cell_that_does_not_hold_is_named() -> None:
    reached = []
    with pytest.raises(AssertionError, match="2 of 3 cells do not hold") as raised, Cells() as cells:
        for name, right in (("first", False), ("second", True), ("third", None)):
            with cells.cell(name):
                reached.append(name)
                assert {False: 1, True: 2}[right] == 2, "it is another"
    assert reached == ["first", "second", "third"]
    told = str(raised.value)
    assert "first: AssertionError: it is another" in told
    assert "third: KeyError: None" in told
    assert "second" not in told


def test_a_table_has_cells_and_what_breaks_off_is_told_as_it_is() -> None:
    with pytest.raises(AssertionError, match="no cells"), Cells():
        pass
    with pytest.raises(ValueError, match="broken"), Cells() as cells:
        with cells.cell("first"):
            raise AssertionError("wrong")
        raise ValueError("broken")
