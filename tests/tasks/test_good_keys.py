"""Many rows are checked at once: each as if it were alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stopcast.tasks.checks import good_keys, names_a_task
from stopcast.tasks.task import RawRow, RowColumns

#: What ids are made of, and what must not pass for it.
_IDS = st.one_of(
    st.text("ab-_.@", max_size=3),
    st.text("a, \n\t\"'é\udc80", max_size=3),
    st.sampled_from(["NULL", "NA", "none", "a" * 128, "a" * 129, "a,b", "a\nb", None, 7]),
)


@given(st.lists(st.tuples(_IDS, _IDS, _IDS), min_size=1, max_size=6))
def test_a_row_is_good_among_others_exactly_where_it_is_alone(rows: list[tuple[object, object, object]]) -> None:
    keys = good_keys(RowColumns.of([RawRow(*row, line) for line, row in enumerate(rows, 1)]))

    assert list(keys) == [",".join(map(str, row)).encode() if names_a_task(row) else b"" for row in rows]
