"""A column of text behaves as the list of its values, and cannot be changed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexnet.data.columns import ROWS, Strings, repeats

TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=12), max_size=30)
"""Any Unicode that UTF-8 can hold: empty texts, zero bytes and astral characters among it."""


@settings(deadline=None, derandomize=True)
@given(values=TEXTS)
def test_a_column_reads_as_the_list_it_was_made_of(values: list[str]) -> None:
    column = Strings.of(values)
    assert len(column) == len(values)
    assert list(column) == values
    assert [column[row] for row in range(len(values))] == values
    assert [column[row] for row in range(-len(values), 0)] == values
    assert column == values and column == tuple(values) and column == Strings.of(iter(values))
    assert all((value in column) for value in values)


@settings(deadline=None, derandomize=True)
@given(values=TEXTS, other=TEXTS)
def test_columns_are_equal_where_their_lists_are(values: list[str], other: list[str]) -> None:
    assert (Strings.of(values) == Strings.of(other)) == (values == other)
    assert (Strings.of(values) == other) == (values == other)
    assert (Strings.of(values) != other) == (values != other)


@settings(deadline=None, derandomize=True)
@given(values=TEXTS.filter(bool), data=st.data())
def test_take_picks_rows_in_the_order_asked_for(values: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(-len(values), len(values) - 1), max_size=40))
    taken = Strings.of(values).take(np.asarray(rows, np.int64))
    assert taken == [values[row] for row in rows]
    again = taken.take(np.arange(len(rows))[::-1])
    assert again == [values[row] for row in reversed(rows)]


@settings(deadline=None, derandomize=True)
@given(values=TEXTS)
def test_codes_index_the_distinct_values_in_order_of_their_first_row(values: list[str]) -> None:
    codes, names = Strings.of(values).codes()
    assert names == list(dict.fromkeys(values))
    assert [names[code] for code in codes] == values


@pytest.mark.parametrize("rows", [ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 7])
def test_iteration_goes_on_past_the_rows_decoded_at_a_time(rows: int) -> None:
    values = [f"é{row}" for row in range(rows)]
    column = Strings.of(values)
    assert list(column) == values
    assert column == values and column != values[:-1] and column != [*values[:-1], "x"]
    assert column[-1] == values[-1] and column[ROWS - 2] == values[ROWS - 2]


def test_texts_with_the_same_letters_and_other_borders_differ() -> None:
    assert Strings.of(["ab", "c"]) != Strings.of(["a", "bc"])
    assert Strings.of([""]) != Strings.of([]) and Strings.of([""]) != Strings.of(["", ""])


@pytest.mark.parametrize("row", [3, -4, 10**6, -(10**6)])
def test_a_row_that_is_not_there_is_an_index_error(row: int) -> None:
    with pytest.raises(IndexError):
        Strings.of(["a", "b", "c"])[row]
    with pytest.raises(IndexError):
        Strings.of(["a", "b", "c"]).take(np.asarray([0, row]))
    with pytest.raises(IndexError):
        Strings.empty(0)[0]


def test_rows_are_asked_for_one_by_one() -> None:
    column = Strings.of(["a", "b", "c"])
    assert column[np.int64(1)] == "b" == column[np.uint8(1)]
    for wrong in (slice(0, 1), slice(None), 1.0, "1"):
        with pytest.raises(TypeError):
            column[wrong]


def test_a_column_cannot_be_changed() -> None:
    column = Strings.of(["a", "b"])
    with pytest.raises(TypeError):
        column[0] = "x"
    with pytest.raises(TypeError):
        del column[0]
    with pytest.raises(AttributeError):
        column.append("x")
    with pytest.raises(AttributeError):
        column.extra = 1
    with pytest.raises(TypeError):
        hash(column)
    assert column == ["a", "b"]


def test_a_column_does_not_follow_the_list_it_was_made_of() -> None:
    values = ["a", "b"]
    column = Strings.of(values)
    values[0] = "x"
    assert column == ["a", "b"]
    assert Strings.of(column) is column


def test_empty_texts_take_no_letters() -> None:
    assert Strings.empty(3) == ["", "", ""] == Strings.of(["", "", ""])
    assert Strings.empty(0) == [] and list(Strings.empty(0)) == []
    codes, names = Strings.empty(0).codes()
    assert codes.tolist() == [] and names == []
    assert Strings.empty(2).take(np.asarray([], np.int64)) == []


def test_text_that_utf_8_cannot_hold_is_refused_and_not_altered() -> None:
    with pytest.raises(UnicodeEncodeError):
        Strings.of(["a\udce9"])


def test_the_repr_is_short_however_long_the_column_is() -> None:
    assert repr(Strings.of(["a", "b"])) == "Strings('a', 'b'; 2 rows)"
    assert repr(Strings.of(map(str, range(10_000)))) == "Strings('0', '1', '2', ...; 10,000 rows)"


def test_how_often_something_was_there_before() -> None:
    assert repeats(np.asarray([4, 2, 4, 4, 7, 2])).tolist() == [0, 0, 1, 2, 0, 1]
    assert repeats(np.empty(0, np.int64)).tolist() == []
