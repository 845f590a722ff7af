"""Proposals that are taken as they are leave nothing behind that blocks.

Sets of pictures that are nowhere: contents stand for the files' bytes, and which contents are nearly
the same is given. After the proposals are applied the findings are made anew from what is left.
"""

import hashlib
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pytest

from lexnet.check.duplicates import Pair
from lexnet.check.examine import FAULTS, Findings
from lexnet.check.labels import Doubt
from lexnet.check.propose import proposals
from lexnet.data.columns import Strings
from lexnet.data.fixes import Fix, apply_fixes
from lexnet.data.manifest import Manifest, Skipped


@dataclass(frozen=True)
class Row:
    """One picture: where it lies, its bytes, and its group."""

    path: str
    content: str
    group: str = ""
    suspect: bool = False


def manifest_of(rows: list[Row], skipped: list[Skipped] | None = None) -> Manifest:
    """A path is PART/CLASS/NAME, or CLASS/NAME."""
    split = [row.path.split("/") for row in rows]
    classes = sorted({inside[-2] for inside in split} | {"x", "y"})
    return Manifest(
        name="data",
        source=None,  # type: ignore[arg-type]
        classes=classes,
        paths=Strings.of(row.path for row in rows),
        labels=np.asarray([classes.index(inside[-2]) for inside in split], np.int64),
        parts=Strings.of(inside[0] if len(inside) == 3 else "" for inside in split),
        digests=Strings.of(digest(row.content) for row in rows),
        groups=Strings.of(row.group for row in rows),
        skipped=skipped or [],
    )


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def findings(manifest: Manifest, near: set[frozenset[str]], suspects: set[str]) -> Findings:
    """As `examine` would find them: near copies are told among the first rows of each file."""
    copies: dict[str, list[int]] = {}
    parts: dict[str, set[str]] = {}
    for row, (content, group) in enumerate(zip(manifest.digests, manifest.groups, strict=True)):
        copies.setdefault(content, []).append(row)
        parts.setdefault(group, set()).add(manifest.parts[row])
    first = [some[0] for some in copies.values()]
    pairs = [
        Pair(a, b, 0.9, 0.99)
        for a, b in combinations(first, 2)
        if frozenset((manifest.digests[a], manifest.digests[b])) in near
    ]
    return Findings(
        manifest=manifest,
        oddities=[],
        unreadable=[skip for skip in manifest.skipped if skip.bad],
        exact=[some for some in copies.values() if len(some) > 1],
        near=pairs,
        doubts=[
            Doubt(row, 1 - int(manifest.labels[row]), 0.9)
            for row, path in enumerate(manifest.paths)
            if path in suspects
        ],
        outliers=[],
        classes=[],
        groups={group: sorted(some) for group, some in parts.items() if group and len(some) > 1},
    )


def after(rows: list[Row], near: str = "") -> tuple[list[Fix], dict[str, int], Manifest]:
    """(the proposals, what blocks once they are applied, what is left); `near`: "AB BC" of contents."""
    related = {frozenset(map(digest, pair)) for pair in near.split()}
    suspects = {row.path for row in rows if row.suspect}
    manifest = manifest_of(rows)
    fixes = proposals(findings(manifest, related, suspects))
    left = apply_fixes(manifest, fixes, "fixes.csv")
    counts = findings(left, related, suspects).counts()
    spoiling = ("label_conflicts", "leaks", "groups", "near_conflicts", "near_leaks")
    blocking = {name: counts[name] for name in spoiling if counts[name]}
    return fixes, blocking, left


def brief(fixes: list[Fix]) -> list[tuple[str, str, str]]:
    return [(fix.path, fix.fault, fix.proposal) for fix in fixes]


def test_of_copies_the_first_is_kept() -> None:
    fixes, blocking, left = after([Row("x/1", "A"), Row("x/2", "A"), Row("x/3", "A"), Row("y/1", "B")])
    assert brief(fixes) == [("x/2", "exact_duplicates", "drop"), ("x/3", "exact_duplicates", "drop")]
    assert fixes[0].why == "the same file as x/1"
    assert (blocking, list(left.paths)) == ({}, ["x/1", "y/1"])


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize(
    ("parts", "kept"), [("train test", "test"), ("train val", "val"), ("val test", "test")]
)
def test_of_copies_in_two_parts_the_one_to_measure_by_is_kept(parts: str, kept: str, near: bool) -> None:
    first, second = parts.split()
    rows = [Row(f"{first}/x/1", "A"), Row(f"{second}/x/2", "B" if near else "A")]
    fixes, blocking, left = after(rows, "AB" if near else "")
    assert brief(fixes) == [(f"{first}/x/1", "near_leaks" if near else "leaks", "drop")]
    assert (blocking, list(left.parts)) == ({}, [kept])


def test_near_copies_are_kept_together() -> None:
    fixes, blocking, left = after([Row("x/1", "A"), Row("x/2", "B"), Row("x/3", "C")], "AB")
    assert {fix.proposal for fix in fixes} == {"regroup"} and blocking == {}
    assert left.groups[0] == left.groups[1] != "" and left.groups[2] == ""


def test_near_copies_of_one_picture_get_one_group() -> None:
    _, _, left = after([Row("x/1", "A"), Row("x/2", "B"), Row("x/3", "C"), Row("x/4", "D")], "AB BC CD")
    assert len(set(left.groups)) == 1 and left.groups[0]


def test_near_copies_take_the_group_that_one_has() -> None:
    _, _, left = after([Row("x/1", "A"), Row("x/2", "B", "shoot 7"), Row("x/3", "C", "shoot 7")], "AB")
    assert list(left.groups) == ["shoot 7"] * 3


def test_a_picture_under_two_labels_is_dropped_but_for_the_one_nobody_doubts() -> None:
    fixes, blocking, left = after([Row("x/1", "A"), Row("y/2", "A")])
    assert brief(fixes) == [("x/1", "label_conflicts", "drop"), ("y/2", "label_conflicts", "drop")]
    assert fixes[0].why == "one picture, called x and y" and (blocking, len(left)) == ({}, 0)
    _, blocking, left = after([Row("x/1", "A"), Row("y/2", "A", suspect=True)])
    assert (blocking, list(left.paths)) == ({}, ["x/1"])


def test_suspects_and_outliers_are_for_a_person_to_judge() -> None:
    found = findings(manifest_of([Row("x/1", "A"), Row("y/2", "B")]), set(), {"x/1"})
    found = Findings(**{**found.__dict__, "outliers": [(1, 5.25)]})
    assert [fix.__dict__ for fix in proposals(found)] == [
        {"path": "x/1", "fault": "suspect_labels", "proposal": "keep", "value": "y"}
        | {"why": "looks more like y (confidence 90%)"},
        {"path": "y/2", "fault": "outliers", "proposal": "keep", "value": ""}
        | {"why": "5.2 spreads farther than the median"},
    ]


def test_what_cannot_be_read_is_dropped() -> None:
    manifest = manifest_of(
        [Row("x/1", "A")], [Skipped("x/0", "is text", bad=True), Skipped("z", "is no picture")]
    )
    fixes = proposals(findings(manifest, set(), set()))
    assert fixes == [Fix("x/0", "unreadable", "drop", why="is text")]


def test_every_proposal_names_a_fault() -> None:
    rows = [Row("train/x/1", "A"), Row("test/x/2", "A"), Row("train/y/3", "B"), Row("train/x/4", "B")]
    rows += [Row("train/x/5", "C", suspect=True), Row("train/x/6", "D")]
    fixes, _, _ = after(rows, "CD")
    assert {fix.fault for fix in fixes} <= set(FAULTS)


@pytest.mark.parametrize(
    ("rows", "near"),
    [
        pytest.param(
            [Row("train/x/1", "A"), Row("val/x/1", "B"), Row("test/x/1", "C")], "AB BC AC", id="chain"
        ),
        pytest.param(
            [Row("train/x/1", "A"), Row("train/x/2", "A"), Row("test/x/1", "B")], "AB", id="copy and near"
        ),
        pytest.param(
            [Row("train/x/1", "A"), Row("train/x/2", "B"), Row("val/x/1", "A")],
            "AB",
            id="the kept copy is not the one compared",
        ),
        pytest.param(
            [Row("train/x/1", "A", suspect=True), Row("train/x/2", "B"), Row("train/y/1", "A")],
            "AB",
            id="the copy that stays has another label than the near one",
        ),
        pytest.param(
            [Row("train/x/1", "A"), Row("test/x/1", "A"), Row("train/y/1", "A", suspect=True)],
            "",
            id="a conflict that is a leak too",
        ),
        pytest.param(
            [Row("x/1", "A", suspect=True), Row("y/1", "A"), Row("z/1", "A")],
            "",
            id="three labels and one suspect",
        ),
        pytest.param(
            [Row("train/x/1", "A"), Row("train/x/2", "B"), Row("test/x/1", "C"), Row("test/x/2", "D")],
            "AB AC CD",
            id="near copies in either part and one across",
        ),
        pytest.param(
            [Row("x/1", "A", "shoot 1"), Row("x/2", "B"), Row("x/3", "C")],
            "AB BC",
            id="a group for some of a chain",
        ),
        pytest.param(
            [Row("train/x/1", "A", "shoot 1"), Row("test/x/1", "B", "shoot 1")],
            "",
            id="a group in two parts",
        ),
        pytest.param(
            [
                Row("test/x/1", "B"),
                Row("test/x/2", "C"),
                Row("train/x/1", "B", "shoot 1"),
                Row("train/x/2", "A", "shoot 1"),
            ],
            "BC",
            id="near copies beside a dropped copy that was in a group of another part",
        ),
    ],
)
def test_applied_as_they_are_they_leave_nothing_that_blocks(rows: list[Row], near: str) -> None:
    _, blocking, _ = after(rows, near)
    assert blocking == {}


def test_near_copies_of_two_groups_join_both() -> None:
    rows = [Row("x/1", "A", "shoot 1"), Row("x/2", "B", "shoot 2"), Row("x/3", "C", "shoot 2")]
    _, _, left = after(rows, "AB")
    assert len(set(left.groups)) == 1


def test_near_copies_stay_together_when_the_row_they_are_told_of_is_dropped() -> None:
    """Pairs are told of a file's first row; where that is dropped, its copy that stays is as near."""
    rows = [Row("x/1", "A", suspect=True), Row("y/1", "A"), Row("y/2", "B")]
    _, blocking, left = after(rows, "AB")
    assert (blocking, list(left.paths)) == ({}, ["y/1", "y/2"])
    assert left.groups[0] == left.groups[1] != ""


def test_what_has_no_picture_or_no_remedy_has_no_row() -> None:
    """Small classes, the balance and oddities are told on the page alone."""
    found = findings(manifest_of([Row("x/1", "A"), Row("y/2", "B")]), set(), set())
    odd = [("is 20x20, very small",), ()]
    found = replace(found, oddities=odd, classes=[("x", "has 1 picture")])
    assert found.counts()["oddities"] == found.counts()["classes"] == 1
    assert proposals(found) == []


def test_of_a_group_that_straddles_what_is_tested_on_is_kept() -> None:
    """As of copies: a test part would else be empty wherever pictures were divided without their groups."""
    rows = [Row(f"train/x/{number}", f"A{number}", "shoot 1") for number in range(3)]
    fixes, blocking, left = after([*rows, Row("test/x/1", "B", "shoot 1")])
    assert brief(fixes) == [(row.path, "groups", "drop") for row in rows] and blocking == {}
    assert fixes[0].why == "shoot 1 is in test and train" and list(left.paths) == ["test/x/1"]
