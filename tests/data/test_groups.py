"""What belongs together stays together, and a subset is chosen fairly."""

import hashlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_makers import class_folder

from lexnet.config import SplitConfig
from lexnet.data.folder import read_folder
from lexnet.data.groups import FEW, LEFT, by_class, group_by, is_plain, join_groups, subset, units
from lexnet.data.manifest import Files, Manifest, Skipped
from lexnet.data.splits import assign_parts, cut_down
from lexnet.errors import ConfigError, DataError

PARTS = ("train", "val", "test")
SEEDS = st.integers(0, 2**63 - 1)


def listing(
    labels: list[int],
    groups: list[str] | None = None,
    contents: list[str] | None = None,
    parts: list[str] | None = None,
    paths: list[str] | None = None,
) -> Manifest:
    """A manifest of pictures that are nowhere: contents stand for the files' bytes."""
    rows = range(len(labels))
    return Manifest(
        name="data",
        source=Files(Path("data")),
        classes=[f"class{k}" for k in range(max(labels, default=0) + 1)],
        paths=paths or [f"class{labels[i]}/{i}.png" for i in rows],
        labels=np.asarray(labels, np.int64),
        parts=parts or [""] * len(labels),
        digests=[hashlib.sha256((contents[i] if contents else str(i)).encode()).hexdigest() for i in rows],
        groups=groups or [""] * len(labels),
    )


def named(paths: list[str]) -> Manifest:
    return listing([0] * len(paths), paths=paths)


def order_of(manifest: Manifest) -> np.ndarray:
    return np.random.default_rng(0).permutation(len(manifest)).astype(np.uint64)


# --- groups by a pattern on the path


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"(\w+)-\d+", ["anna", "anna", "ben", ""]),
        (r"\w+-", ["anna-", "anna-", "ben-", ""]),
        (r"/(\w+)-(\d+)", ["anna", "anna", "ben", ""]),
        (r"/(?:\w+)-(\d+)", ["1", "2", "1", ""]),
        (r"(?P<who>anna|ben)", ["anna", "anna", "ben", ""]),
        (r"^\w+", ["cat", "cat", "cat", "cat"]),
        (r"-(\d+)|zzz(.)", ["1", "2", "1", ""]),
    ],
)
def test_the_first_bracket_or_the_whole_match_names_the_group(pattern: str, groups: list[str]) -> None:
    manifest = named(["cat/anna-1.png", "cat/anna-2.png", "cat/ben-1.png", "cat/x.png"])
    grouped = group_by(manifest, pattern)
    assert grouped.groups == groups
    assert grouped.paths == manifest.paths and grouped.digests == manifest.digests


@pytest.mark.parametrize("pattern", [r"(\w+)-(\d+)_(\d+)", "^[^/]+", "a{2,}b?", r"(?:x|y)\d+", r"(\d+)?"])
def test_a_plain_pattern_may_be_run_unasked(pattern: str) -> None:
    assert is_plain(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|aa)*b", "(a*){2,}", r"(a+)\1", "(?P<x>a+)(?P=x)", ".*.*.*.*x", ".?" * 40 + "!"]
    + [part * 40 + "!" for part in (r"\(?", ".??", "(.)?", "(?:a|aa)")],
)
def test_a_pattern_that_may_take_for_ever_is_told_apart(pattern: str) -> None:
    assert not is_plain(pattern)


def test_a_bracket_that_took_no_part_in_the_match_names_no_group() -> None:
    """Else all pictures without a number would be of one group, called like the rest of the pattern."""
    manifest = named(["cat/film7.png", "cat/film7.jpg", "cat/a.png", "cat/b.png"])
    assert group_by(manifest, r"cat/(?:film(\d+))?").groups == ["7", "7", "", ""]
    assert group_by(manifest, r"(film\d+)|cat/[ab]").groups == ["film7", "film7", "", ""]
    with pytest.raises(DataError, match=r"fits no path, such as cat/film7\.png"):
        group_by(manifest, r"(film\d+)|cat")  # `cat` comes first in each, so that no bracket takes part


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<1>a)", "a{2,1}", "\\", "a{99999999999}"])
def test_what_is_no_regular_expression_is_an_error_that_says_so(pattern: str) -> None:
    with pytest.raises(ConfigError, match="is no regular expression") as caught:
        group_by(named(["cat/0.png"]), pattern)
    assert repr(pattern) in str(caught.value)


@pytest.mark.parametrize("pattern", [r"person\d+", "^$", r"(\d*)x?$^"])
def test_a_pattern_that_fits_nothing_shows_a_path_that_it_should_have_fitted(pattern: str) -> None:
    with pytest.raises(DataError, match=r"fits no path, such as cat/a\.png; change the pattern"):
        group_by(named(["cat/a.png", "cat/b.png"]), pattern)


def test_a_pattern_that_finds_only_nothing_is_no_grouping() -> None:
    """`\\d*` fits everywhere, in front of the first letter, and so would group nothing and say nothing."""
    with pytest.raises(DataError, match=r"group_by='\(\\\\d\*\)' "):
        group_by(named(["cat/a1.png", "cat/b2.png"]), r"(\d*)")


def test_where_no_picture_is_left_grouping_is_no_crash() -> None:
    assert len(cut_down(listing([]), SplitConfig(group_by="a"), seed=0)) == 0


def test_a_pattern_takes_the_place_of_the_tables_own_groups() -> None:
    manifest = listing([0, 0, 1], groups=["x", "x", "y"], paths=["a/1-1.png", "a/2-1.png", "b/2-2.png"])
    assert group_by(manifest, r"(\d)-").groups == ["1", "2", "2"]


def test_a_pattern_on_a_real_folder(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=12, dog=12)
    manifest = group_by(read_folder(root), r"\w+/.*?(\d)\.png")
    assert set(manifest.groups) == set("0123456789")


# --- what must stay together


def components(labels: list[int], edges: list[tuple[int, int]]) -> list[int]:
    """The lowest row that can be reached from each, the slow and plain way."""
    found = list(range(len(labels)))
    for _ in labels:
        for a, b in edges:
            found[a] = found[b] = min(found[a], found[b])
    return found


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["", "", "g", "h", "i"]), st.integers(0, 20)),
    min_size=1,
    max_size=24,
)


@settings(deadline=None, derandomize=True)
@given(rows=ROWS, data=st.data())
def test_bytes_groups_and_pairs_join_transitively(
    rows: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    labels, groups, contents = (list(column) for column in zip(*rows, strict=True))
    index = st.integers(0, len(rows) - 1)
    pairs = data.draw(st.lists(st.tuples(index, index), max_size=5))
    manifest = listing(labels, groups, [str(content) for content in contents])
    edges = [
        (a, b)
        for a in range(len(rows))
        for b in range(a)
        if contents[a] == contents[b] or groups[a] == groups[b] != ""
    ]
    expected = components(labels, edges + pairs)
    assert units(manifest, pairs).tolist() == expected
    joined = join_groups(manifest, pairs)
    assert units(joined).tolist() == expected, "the groups alone now say what belongs together"
    sizes = Counter(expected)
    for row, unit in enumerate(expected):
        assert (joined.groups[row] == joined.groups[unit]) and bool(joined.groups[row]) == (sizes[unit] > 1)


def test_copies_and_groups_join_over_several_steps() -> None:
    """0 and 1 are one group, 1 and 2 one file, 2 and 3 one pair, 3 and 4 another group."""
    manifest = listing([0] * 6, ["g", "g", "", "h", "h", ""], ["a", "b", "b", "c", "d", "e"])
    assert units(manifest).tolist() == [0, 0, 0, 3, 3, 5]
    assert units(manifest, [(3, 2)]).tolist() == [0, 0, 0, 0, 0, 5]
    assert join_groups(manifest, [(2, 3), (3, 2), (2, 2)]).groups == [manifest.digests[0]] * 5 + [""]


def test_without_groups_copies_or_pairs_each_picture_stands_alone() -> None:
    manifest = listing([0, 1, 0])
    assert units(manifest).tolist() == [0, 1, 2]
    assert join_groups(manifest, []).groups == ["", "", ""]
    assert units(listing([])).tolist() == []


@settings(deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.lists(st.integers(1, 6), min_size=3, max_size=12), min_size=2, max_size=4), seed=SEEDS
)
def test_no_group_is_ever_in_two_parts(sizes: list[list[int]], seed: int) -> None:
    labels, groups = [], []
    for label, of_class in enumerate(sizes):
        for number, size in enumerate(of_class):
            labels += [label] * size
            groups += [f"{label}:{number}"] * size
    divided = assign_parts(listing(labels, groups), SplitConfig(), seed)
    assert len(set(zip(divided.groups, divided.parts, strict=True))) == len(set(groups))
    assert set(divided.parts) <= set(PARTS)
    assert divided.counts("train").min() >= 2 and divided.counts("test").min() >= 1


@settings(deadline=None, derandomize=True)
@given(seed=SEEDS, copies=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=6))
def test_copies_of_a_picture_in_two_groups_hold_both_on_one_side(
    seed: int, copies: list[tuple[int, int]]
) -> None:
    labels = [i % 2 for i in range(60)]
    groups = [f"g{i % 20}" for i in range(60)]  # each within one class
    contents = [str(i) for i in range(60)]
    for a, b in copies:
        contents[b - b % 2 + a % 2] = contents[a]
    manifest = listing(labels, groups, contents)
    divided = assign_parts(manifest, SplitConfig(), seed)
    sides = {(unit, part) for unit, part in zip(units(manifest).tolist(), divided.parts, strict=True)}
    assert len(sides) == len({unit for unit, _ in sides})


def uneven(seed: int) -> Manifest:
    """Three classes of 80 groups with one to four pictures each."""
    sizes = np.random.default_rng(seed).integers(1, 5, (3, 80))
    labels = [label for label in range(3) for size in sizes[label] for _ in range(size)]
    groups = [f"{k}:{i}" for k in range(3) for i, size in enumerate(sizes[k]) for _ in range(size)]
    return listing(labels, groups)


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_near_those_asked_for_though_groups_stay_whole(seed: int) -> None:
    manifest = uneven(seed)
    divided = assign_parts(manifest, SplitConfig(val=0.1, test=0.2), seed)
    for part, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert np.abs(divided.counts(part) / np.bincount(manifest.labels) - share).max() < 0.12, part


def test_large_groups_are_no_likelier_to_be_tested_on_than_small_ones() -> None:
    """Over many seeds a part's share of the pictures is its share of the groups."""
    manifest = uneven(0)
    shares = [
        len(assign_parts(manifest, SplitConfig(val=0.1, test=0.2), seed).where("test")) / len(manifest)
        for seed in range(40)
    ]
    assert np.mean(shares) == pytest.approx(0.2, abs=0.02)


@settings(deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_a_group_over_several_classes_stays_whole_and_counts_for_its_commonest(seed: int) -> None:
    """People (groups) who show three things (classes) each, as in a data set of gestures."""
    labels, groups = [], []
    for person in range(12):
        of_person = [person % 3] * 3 + [(person + 1) % 3, (person + 2) % 3]
        labels += of_person
        groups += [f"person{person}"] * 5
    divided = assign_parts(listing(labels, groups), SplitConfig(val=0, test=0.25), seed)
    assert len(set(zip(divided.groups, divided.parts, strict=True))) == 12
    assert divided.counts("test").tolist() == [5, 5, 5], "one person for whom each class is the commonest"


def test_a_group_counts_for_the_class_of_most_of_it_and_not_of_its_first_picture() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 0, 0])
    alone = [[row] for row in range(6)]
    mixed = [6, 7, 8]  # of the second class, and two of the first
    assert by_class([*alone, mixed], labels, 2, least=3) == [[*alone[:3], mixed], alone[3:]]


@pytest.mark.parametrize(
    ("groups", "count"),
    [(["a", "a", "a", "b", "b", "b"], "2 groups"), (["a"] * 6, "1 group")],
)
def test_too_few_groups_are_an_error_that_names_the_class(groups: list[str], count: str) -> None:
    manifest = listing([0] * 6 + [1] * 6, [""] * 6 + groups)
    with pytest.raises(DataError, match=f"class 'class1' has {count} of its own, at least 3 are needed"):
        assign_parts(manifest, SplitConfig(), 0)


def test_a_class_that_is_never_the_commonest_of_its_groups_is_divided_too() -> None:
    """Twenty patients with eight healthy pictures and two sick ones each; a group counts for one class."""
    manifest = listing([*[0] * 8, 1, 1] * 20, [f"patient{i // 10}" for i in range(200)])
    divided = assign_parts(manifest, SplitConfig(), 0)
    part_of = dict(zip(divided.groups, divided.parts, strict=True))
    assert [part_of[group] for group in divided.groups] == list(divided.parts)
    for part, most in (("train", 16), ("val", 4), ("test", 6)):
        found = divided.counts(part)
        assert 0 < found[1] <= 2 * most and found[0] == 4 * found[1]
    few = listing([0, 0, 1] * 4, [f"g{i // 3}" for i in range(12)])
    with pytest.raises(DataError, match=r"class 'class0' has 2 groups of its own, .*make the groups smaller"):
        assign_parts(few, SplitConfig(), 0)


def test_a_subset_takes_a_picture_of_each_group_before_a_second_of_any() -> None:
    manifest = listing([0] * 60 + [1] * 60, [f"g{i // 15}" for i in range(120)])  # four groups a class
    for seed in range(5):
        some = cut_down(manifest, SplitConfig(per_class=5), seed)
        for k in (0, 1):
            assert len({some.groups[row] for row in np.flatnonzero(some.labels == k)}) == 4


def test_the_order_of_the_listing_moves_no_group() -> None:
    manifest = listing([i % 2 for i in range(60)], [f"g{i % 20}" for i in range(60)])
    expected = dict(zip(manifest.digests, assign_parts(manifest, SplitConfig(), 4).parts, strict=True))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(60)
        divided = assign_parts(manifest.take(order), SplitConfig(), 4)
        assert dict(zip(divided.digests, divided.parts, strict=True)) == expected


# --- a part of the pictures


@settings(deadline=None, derandomize=True)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    per_class=st.none() | st.integers(1, 40),
    limit=st.none() | st.integers(1, 120),
)
def test_a_subset_is_within_its_limits_and_keeps_the_shares(
    counts: list[int], per_class: int | None, limit: int | None
) -> None:
    manifest = listing([label for label, count in enumerate(counts) for _ in range(count)])
    chosen = subset(manifest, limit, per_class, order_of(manifest))
    kept = np.bincount(chosen.labels, minlength=len(counts))
    capped = np.minimum(counts, per_class or 10**9)
    assert (kept >= 1).all() and (kept <= capped).all()
    if limit is None or limit >= capped.sum():
        assert kept.tolist() == capped.tolist()
    else:
        least = np.minimum(capped, max(1, min(FEW, limit // len(counts))))
        assert kept.sum() <= max(limit, len(counts)) and (kept >= least).all()
        common = kept > least
        exact = (limit - kept[~common].sum()) * capped / max(1, capped[common].sum())
        assert (np.abs(kept - exact)[common] < 1).all()  # all of these have the same share, but for rounding
        assert kept.sum() == limit or not common.any() or (kept == least)[common].all()
    assert chosen.classes == manifest.classes
    left = {skip.path for skip in chosen.skipped}
    assert left | set(chosen.paths) == set(manifest.paths) and len(left) + len(chosen) == len(manifest)
    assert all(skip == Skipped(skip.path, LEFT, bad=False) for skip in chosen.skipped)


def test_what_was_skipped_before_stays_recorded() -> None:
    manifest = listing([0] * 5 + [1] * 5).take(np.arange(1, 10), [Skipped("gone.png", "is bad", bad=True)])
    chosen = cut_down(manifest, SplitConfig(per_class=3), seed=0)
    assert chosen.skipped[0] == Skipped("gone.png", "is bad", bad=True)
    assert [skip.reason for skip in chosen.skipped[1:]] == [LEFT] * 3


def test_pictures_keep_their_order_part_and_group() -> None:
    manifest = listing(
        [i % 2 for i in range(20)],
        groups=[f"g{i}" for i in range(20)],
        parts=[PARTS[i % 3] for i in range(20)],
    )
    chosen = cut_down(manifest, SplitConfig(limit=12), seed=0)
    rows = [int(path.split("/")[1].removesuffix(".png")) for path in chosen.paths]
    assert rows == sorted(rows)
    assert chosen.groups == [f"g{row}" for row in rows]
    assert chosen.parts == [PARTS[row % 3] for row in rows]
    assert {(label, part) for label, part in zip(chosen.labels.tolist(), chosen.parts, strict=True)} == {
        (label, part) for label in (0, 1) for part in PARTS
    }, "at least one of each class in each part"


def test_the_seed_decides_and_the_order_of_the_listing_does_not() -> None:
    manifest = listing([0] * 40 + [1] * 20)
    config = SplitConfig(limit=30)
    first, again, other = (cut_down(manifest, config, seed) for seed in (1, 1, 2))
    assert first.paths == again.paths != other.paths
    turned = cut_down(manifest.take(np.arange(60)[::-1]), config, 1)
    assert set(turned.digests) == set(first.digests)


def test_a_smaller_subset_lies_within_a_larger_one() -> None:
    """So that a learning curve adds pictures and does not change them."""
    manifest = listing([0] * 40 + [1] * 20)
    sets = [set(cut_down(manifest, SplitConfig(per_class=n), 0).paths) for n in (2, 5, 10, 20)]
    assert all(a < b for a, b in pairwise(sets))


def test_without_a_limit_or_a_pattern_nothing_changes() -> None:
    manifest = listing([0] * 4 + [1] * 4)
    assert cut_down(manifest, SplitConfig(), seed=0) is manifest


@pytest.mark.parametrize("name", ["limit", "per_class"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3"])
def test_a_limit_that_is_no_number_of_pictures_is_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name}="):
        SplitConfig(**{name: value})
