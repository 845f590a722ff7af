"""What is trained on and what is kept back: stratified, seeded, the same for the same pictures."""

import csv
import hashlib
import os
from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_makers import class_folder, noise

from lexnet.cli.printing import found_table
from lexnet.config import SplitConfig, TrainConfig
from lexnet.data.columns import Strings
from lexnet.data.folder import read_folder
from lexnet.data.manifest import Files, Manifest
from lexnet.data.samples import sample_folder
from lexnet.data.splits import (
    MIN_TRAIN,
    MIN_UNDIVIDED,
    assign_parts,
    check_classes,
    cut_down,
    resolve_copies,
    resolve_groups,
    split_csv,
    split_hash,
    straddling,
    with_val,
)
from lexnet.errors import DataError
from lexnet.job.divide import divide
from lexnet.job.events import Event, Warned

PARTS = ("train", "val", "test")
CONFIG = SplitConfig()


def listing(labels: list[int], contents: list[str], parts: list[str] | None = None) -> Manifest:
    """A manifest of pictures that are nowhere: contents stand for the files' bytes."""
    return Manifest(
        name="data",
        source=Files(Path("data")),
        classes=[f"class{k}" for k in range(max(labels) + 1)],
        paths=[f"class{label}/{i}.png" for i, label in enumerate(labels)],
        labels=np.asarray(labels, np.int64),
        parts=parts or [""] * len(labels),
        digests=[hashlib.sha256(content.encode()).hexdigest() for content in contents],
    )


def distinct(*counts: int) -> Manifest:
    """That many different pictures for each class."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return listing(labels, [f"{label}:{i}" for i, label in enumerate(labels)])


@pytest.mark.parametrize(
    ("config", "flag"), [(SplitConfig(limit=4), "--limit"), (SplitConfig(per_class=2), "--per-class")]
)
def test_where_a_subset_leaves_too_few_the_subset_is_named(config: SplitConfig, flag: str) -> None:
    manifest = cut_down(distinct(9, 9), config, 0)
    with pytest.raises(DataError, match=f"add some or drop the class, or raise {flag}$"):
        assign_parts(manifest, config, 0)


def test_a_class_without_pictures_to_train_on_is_told_as_that() -> None:
    manifest = distinct(4, 4).with_parts(["train"] * 4 + ["test"] * 4)
    with pytest.raises(DataError, match="class 'class1' has no usable picture to train on; add some or drop"):
        check_classes(manifest, SplitConfig())


def part_of(manifest: Manifest) -> dict[str, str]:
    """Part by content."""
    return dict(zip(manifest.digests, manifest.parts, strict=True))


def reordered(manifest: Manifest, order: list[int]) -> Manifest:
    return manifest.take(np.asarray(order, np.int64))


# --- a new split


def test_every_class_is_divided_in_the_same_shares() -> None:
    divided = assign_parts(distinct(100, 50, 10), CONFIG, seed=0)
    assert divided.counts("test").tolist() == [20, 10, 2]
    assert divided.counts("val").tolist() == [10, 5, 1]
    assert divided.counts("train").tolist() == [70, 35, 7]


def test_a_share_is_rounded_and_not_cut_off() -> None:
    """A fifth of 13 is 2.6, and a tenth 1.3."""
    divided = assign_parts(distinct(13, 13), CONFIG, seed=0)
    assert [divided.counts(part).tolist() for part in PARTS] == [[9, 9], [1, 1], [3, 3]]


@settings(deadline=None, derandomize=True)
@given(
    counts=st.lists(st.integers(MIN_UNDIVIDED, 40), min_size=2, max_size=5),
    val=st.floats(0, 0.3),
    test=st.floats(0.05, 0.5),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_class_of_three_or_more_has_one_to_test_on_and_two_to_train_on(
    counts: list[int], val: float, test: float, seed: int
) -> None:
    divided = assign_parts(distinct(*counts), SplitConfig(val=val, test=test), seed)
    assert divided.counts("test").min() >= 1
    assert divided.counts("train").min() >= MIN_TRAIN
    assert sum(divided.counts(part) for part in PARTS).tolist() == counts
    assert set(divided.parts) <= set(PARTS)


def test_half_of_three_pictures_for_the_test_leaves_two_to_train_on() -> None:
    divided = assign_parts(distinct(3, 3), SplitConfig(test=0.5), seed=0)
    assert [divided.counts(part).tolist() for part in PARTS] == [[2, 2], [0, 0], [1, 1]]


def test_the_seed_decides() -> None:
    manifest = distinct(60, 60)
    first, again, other = (assign_parts(manifest, CONFIG, seed) for seed in (1, 1, 2))
    assert first.parts == again.parts
    assert first.parts != other.parts
    assert first.counts("test").tolist() == other.counts("test").tolist()


def measured(*counts: int) -> Manifest:
    """That many pictures for each class, of which every fifth is the source's own test part."""
    whole = distinct(*counts)
    return whole.with_parts(["test" if i % 5 == 0 else "train" for i in range(len(whole))])


def test_a_val_part_is_a_share_of_each_class_of_the_train_part() -> None:
    before = measured(50, 25, 5)
    after = with_val(before, 0.25, seed=0)
    assert after.counts("val").tolist() == [10, 5, 1]
    assert after.counts("train").tolist() == [30, 15, 3]
    test = before.where("test")
    assert np.array_equal(after.where("test"), test), "what is measured on stays apart"
    assert part_of(with_val(reordered(before, list(reversed(range(80)))), 0.25, 0)) == part_of(after)
    assert part_of(with_val(before, 0.25, seed=1)) != part_of(after)


def test_a_val_part_leaves_two_of_each_class_to_train_on() -> None:
    after = with_val(measured(3, 4, 10), 0.5, seed=0)
    assert after.counts("train").tolist() == [2, 2, 4]
    assert after.counts("val").tolist() == [0, 1, 4]


def test_no_share_makes_no_val_part() -> None:
    assert list(with_val(measured(20, 20), 0.0, seed=0).parts) == list(measured(20, 20).parts)


def test_copies_in_the_train_part_come_to_its_val_part_together() -> None:
    contents = [f"{label}:{i // 3}" for label in (0, 1) for i in range(30)]  # each picture three times
    manifest = listing([0] * 30 + [1] * 30, contents, ["train"] * 60)
    after = with_val(manifest, 0.3, seed=0)
    assert after.counts("val").tolist() == [9, 9]
    sides = {(digest, part) for digest, part in zip(after.digests, after.parts, strict=True)}
    assert len(sides) == 20, "a picture and its copies are in one part"


@settings(deadline=None, derandomize=True)
@given(order=st.permutations(range(24)))
def test_the_order_of_the_listing_changes_nothing(order: list[int]) -> None:
    manifest = distinct(12, 12)
    assert part_of(assign_parts(reordered(manifest, order), CONFIG, 0)) == part_of(
        assign_parts(manifest, CONFIG, 0)
    )


def test_renamed_pictures_stay_in_their_part(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=12, dog=12)
    before = assign_parts(read_folder(root), CONFIG, 0)
    for k, file in enumerate(sorted(root.glob("*/*.png"))):
        os.rename(file, file.with_name(f"{hashlib.sha256(bytes([k])).hexdigest()}.png"))
    after = assign_parts(read_folder(root), CONFIG, 0)
    assert part_of(after) == part_of(before)
    assert after.paths != before.paths
    assert split_hash(after) == split_hash(before)


def test_a_picture_more_moves_no_picture_of_another_class(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=20, dog=20, emu=20)
    before = assign_parts(read_folder(root), CONFIG, 0)
    noise(99).save(root / "dog/new.png")
    after = assign_parts(read_folder(root), CONFIG, 0)
    of_others = [d for d, label in zip(before.digests, before.labels, strict=True) if label != 1]
    assert len(of_others) == 40
    assert {d: part_of(after)[d] for d in of_others} == {d: part_of(before)[d] for d in of_others}
    moved = [d for d in before.digests if part_of(before)[d] != part_of(after)[d]]
    assert len(moved) <= 2, "in its own class at most those on the borders of the parts"


@settings(deadline=None, derandomize=True)
@given(copies=st.lists(st.integers(0, 11), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_copies_of_a_file_are_on_one_side(copies: list[int], seed: int) -> None:
    labels = [i % 2 for i in range(12)] + [i % 2 for i in copies]
    contents = [str(i) for i in range(12)] + [str(i) for i in copies]
    divided = assign_parts(listing(labels, contents), CONFIG, seed)
    sides = {(digest, part) for digest, part in zip(divided.digests, divided.parts, strict=True)}
    assert len(sides) == 12


def test_a_split_that_the_folder_brings_is_kept() -> None:
    parts = ["train", "train", "train", "val"] * 2
    manifest = listing([0] * 4 + [1] * 4, [str(i) for i in range(8)], parts)
    assert assign_parts(manifest, CONFIG, 0).parts == parts


def test_a_folder_with_a_train_part_alone_is_divided(tmp_path: Path) -> None:
    class_folder(tmp_path / "train", cat=10, dog=10)
    divided = assign_parts(read_folder(tmp_path), CONFIG, 0)
    assert [divided.counts(part).tolist() for part in PARTS] == [[7, 7], [1, 1], [2, 2]]


def test_two_thousand_classes_are_divided_and_told_in_a_few_lines() -> None:
    told: list[Event] = []
    manifest = distinct(*([3] * 1_999), 10)
    divided = divide(manifest, [], TrainConfig(), told.append)
    assert divided.counts("test").tolist() == [1] * 1_999 + [2]
    assert len(found_table(divided).splitlines()) < 50
    few, warning = (event.text for event in told if isinstance(event, Warned))
    assert few.endswith(" and 1979 more: they will hardly be recognised; add some")
    assert warning.startswith("the val part has no picture of class0, class1, ")
    assert warning.endswith(" and 1979 more: accuracy on them is not measured there")


def test_the_clip_art_is_divided_in_every_class() -> None:
    divided = assign_parts(read_folder(sample_folder("clipart")), CONFIG, 0)
    for part, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        counts = divided.counts(part) / np.bincount(divided.labels)
        assert np.abs(counts - share).max() < 0.03


# --- groups and subsets


def filmed(films: int, frames: int) -> Manifest:
    """Two classes of films of so many frames each."""
    manifest = distinct(films * frames, films * frames)
    return manifest.with_groups(f"{row // frames}" for row in range(len(manifest)))


@settings(deadline=None, derandomize=True)
@given(films=st.integers(3, 12), frames=st.integers(1, 5), seed=st.integers(0, 2**63 - 1))
def test_films_of_one_length_are_divided_as_pictures_would_be(films: int, frames: int, seed: int) -> None:
    divided = assign_parts(filmed(films, frames), CONFIG, seed)
    single = assign_parts(distinct(films, films), CONFIG, seed)
    for part in PARTS:
        assert divided.counts(part).tolist() == (frames * single.counts(part)).tolist()
    assert len(set(zip(divided.groups, divided.parts, strict=True))) == 2 * films


def test_a_train_part_alone_is_divided_by_its_groups() -> None:
    manifest = filmed(10, 3).with_parts(["train"] * 60)
    divided = assign_parts(manifest, CONFIG, 0)
    assert [divided.counts(part).tolist() for part in PARTS] == [[21, 21], [3, 3], [6, 6]]
    assert len(set(zip(divided.groups, divided.parts, strict=True))) == 20


def test_a_film_more_moves_no_film_of_another_class() -> None:
    before = filmed(12, 3)
    more = listing([0] * 36 + [1] * 39, [f"{int(i >= 36)}:{i}" for i in range(75)])
    more = more.with_groups([*before.groups, *["new"] * 3])
    assert list(more.digests)[:72] == list(before.digests)
    first, second = (assign_parts(manifest, CONFIG, 0) for manifest in (before, more))
    assert list(first.parts)[:36] == list(second.parts)[:36]


def test_renaming_a_group_moves_nothing() -> None:
    manifest = filmed(8, 3)
    renamed = manifest.with_groups(f"film {group}!" for group in manifest.groups)
    assert assign_parts(renamed, CONFIG, 5).parts == assign_parts(manifest, CONFIG, 5).parts


def test_a_chain_of_ten_thousand_pictures_is_one_group() -> None:
    """Each joined to the next by a copy or a group in turn."""
    count = 10_000
    contents = [str(i // 2) for i in range(count)]
    groups = [str((i + 1) // 2) for i in range(count)]
    others = 6
    manifest = listing([0] * (count + others) + [1] * 6, [*contents, *(f"x{i}" for i in range(12))])
    divided = assign_parts(manifest.with_groups([*groups, *[""] * 12]), CONFIG, 0)
    assert len(set(list(divided.parts)[:count])) == 1


def test_one_huge_group_leaves_the_other_parts_something() -> None:
    manifest = distinct(100, 10).with_groups(["big"] * 90 + [""] * 20)
    for seed in range(10):
        divided = assign_parts(manifest, CONFIG, seed)
        assert divided.counts("train").min() >= MIN_TRAIN and divided.counts("test").min() >= 1


def test_a_subset_too_small_to_divide_is_an_error_that_names_the_class() -> None:
    with pytest.raises(DataError, match="class 'class0' has 2 different pictures, at least 3 are needed"):
        assign_parts(cut_down(distinct(9, 9), SplitConfig(per_class=2), 0), CONFIG, 0)


def test_a_subset_and_its_split_do_not_follow_each_other() -> None:
    """Chosen and divided by different draws: else the first chosen would all be tested on."""
    manifest = distinct(200, 200)
    config = SplitConfig(per_class=100)
    divided = assign_parts(cut_down(manifest, config, 0), config, 0)
    whole = part_of(assign_parts(manifest, config, 0))
    tested = [digest for digest in divided.digests if whole[digest] == "test"]
    assert 20 <= len(tested) <= 60, "about a fifth of the chosen, as of all"


@pytest.mark.parametrize("limit", [2, 12, 25, 60, 119, 120, 121])
def test_a_limit_keeps_the_shares_of_unequal_classes(limit: int) -> None:
    chosen = cut_down(distinct(80, 30, 10), SplitConfig(limit=limit), 0)
    kept = np.bincount(chosen.labels)
    expected = np.asarray([80, 30, 10]) * min(1, limit / 120)
    assert (np.abs(kept - expected) <= 2).all() and kept.min() >= min(3, max(1, limit // 3))
    assert len(chosen.skipped) == 120 - len(chosen) and len(chosen) <= max(3, limit)


def test_what_a_net_has_learned_from_is_not_measured_on_while_there_is_other() -> None:
    manifest = distinct(50, 50)
    first = assign_parts(manifest, SplitConfig(), 0)
    known = np.asarray([part != "test" for part in first.parts])
    for seed in (0, 1, 2):
        again = assign_parts(manifest, SplitConfig(), seed, known)
        assert not known[again.where("test")].any() and again.counts("test").tolist() == [10, 10]
    more = distinct(60, 60)
    known = np.isin(list(more.digests), [d for d, old in zip(manifest.digests, known, strict=True) if old])
    again = assign_parts(more, SplitConfig(), 1, known)
    assert not known[again.where("test")].any() and (~known[again.where("train")]).sum() >= 8
    known = np.asarray([part != "test" for part in first.parts])
    most = known.copy()
    most[first.where("test")[2:]] = True  # two of the first class are left, and none of the second
    assert assign_parts(manifest, SplitConfig(), 1, most).counts("test").tolist() == [2, 1]


@pytest.mark.parametrize("share", [2, 4])
def test_nor_calibrated_on(share: int) -> None:
    """A half or a quarter is known: there is enough for both parts."""
    manifest = distinct(200, 200)
    known = np.arange(400) % share == 0
    for seed in range(3):
        again = assign_parts(manifest, SplitConfig(), seed, known)
        assert not known[again.where("val")].any() and not known[again.where("test")].any()
        assert [len(again.where(part)) for part in ("train", "val", "test")] == [280, 40, 80]


def test_a_group_of_which_one_picture_was_learned_from_is_not_measured_on() -> None:
    """Pairs; a net that knows one of two has nearly seen the other."""
    manifest = distinct(40, 40).with_groups(f"{row // 2}" for row in range(80))
    known = np.arange(80) % 6 == 0
    for seed in range(5):
        tested = assign_parts(manifest, CONFIG, seed, known).where("test")
        assert len(tested) == 16 and not known[tested].any()


def test_near_copies_of_what_is_trained_on_are_not_lent_to_the_val_part() -> None:
    manifest = distinct(40, 40).with_parts(["train"] * 80)
    pairs = [(row, row + 1) for row in range(0, 80, 2)]
    parts = list(with_val(manifest, 0.25, 0, pairs).parts)
    assert all(parts[a] == parts[b] for a, b in pairs) and parts.count("val") == 20


def test_what_is_lent_to_the_val_part_leaves_every_class_something_to_train_on() -> None:
    """All of class 1 lies in two groups that are mostly of class 0."""
    manifest = listing([0] * 40 + [1] * 4, [str(i) for i in range(44)], ["train"] * 44)
    groups = [
        "a" if row in (0, 1, 2, 40, 41) else "b" if row in (3, 4, 5, 42, 43) else "" for row in range(44)
    ]
    for seed in range(10):
        after = with_val(manifest.with_groups(groups), 0.9, seed)
        assert after.counts("train")[1] >= 2 and after.counts("val")[0] > 20


def test_copies_of_one_file_count_once_in_a_subset() -> None:
    """Thirty pictures of the rare class, each three times."""
    rare = [f"r{i // 3}" for i in range(90)]
    manifest = listing([0] * 2000 + [1] * 90, [*map(str, range(2000)), *rare])
    chosen = cut_down(manifest, SplitConfig(limit=60), 0)
    kept = [d for d, label in zip(chosen.digests, chosen.labels, strict=True) if label == 1]
    assert len(set(kept)) == len(kept) == 3
    assign_parts(chosen, SplitConfig(), 0)


def test_a_rare_class_is_not_cut_down_to_what_cannot_be_divided() -> None:
    chosen = cut_down(distinct(2000, 1000, 30), SplitConfig(limit=100), 0)
    assert np.bincount(chosen.labels).tolist() == [65, 32, 3]
    assign_parts(chosen, SplitConfig(), 0)


# --- copies


def two_labels() -> Manifest:
    """One picture under two labels, among eleven others."""
    labels, contents = [0] * 6 + [1] * 6, [str(i) for i in range(12)]
    contents[8] = contents[2]
    return listing(labels, contents)


def both_sides() -> Manifest:
    """One picture in all three parts, and a copy within one."""
    contents = [str(i) for i in range(12)]
    contents[1] = contents[4] = contents[5] = contents[0]
    return listing([0] * 6 + [1] * 6, contents, ["train", "train", "train", "train", "val", "test"] * 2)


def test_a_picture_under_two_labels_is_refused_by_name() -> None:
    with pytest.raises(DataError) as caught:
        resolve_copies(two_labels(), skip_bad=False)
    assert str(caught.value) == (
        "2 pictures have copies under another label or in another part:\n"
        "  class0/2.png is the same file as class1/8.png, which has another label\n"
        "  class1/8.png is the same file as class0/2.png, which has another label\n"
        "remove them (`lexnet check` lists all faults, for --fixes), or go on without them with --skip-bad"
    )


def test_a_picture_under_two_labels_is_left_out_wholly() -> None:
    manifest = resolve_copies(two_labels(), skip_bad=True)
    assert len(manifest) == 10
    assert not {"class0/2.png", "class1/8.png"} & set(manifest.paths)
    assert {(skip.path, skip.bad) for skip in manifest.skipped} == {
        ("class0/2.png", True),
        ("class1/8.png", True),
    }
    assert manifest.classes == two_labels().classes


def test_a_picture_on_both_sides_is_refused_by_name() -> None:
    with pytest.raises(DataError) as caught:
        resolve_copies(both_sides(), skip_bad=False)
    message = str(caught.value)
    assert "class0/0.png is the same file as class0/5.png, which is in another part" in message
    assert message.startswith("3 pictures have copies") and message.endswith("with --skip-bad")


def test_of_a_picture_on_both_sides_the_test_keeps_its_own() -> None:
    manifest = resolve_copies(both_sides(), skip_bad=True)
    assert {skip.path for skip in manifest.skipped} == {f"class0/{i}.png" for i in (0, 1, 4)}
    assert manifest.counts("test").tolist() == [1, 1], "the test part is as it was"
    parts: dict[str, set[str]] = {}
    for digest, part in zip(manifest.digests, manifest.parts, strict=True):
        parts.setdefault(digest, set()).add(part)
    assert all(len(sides) == 1 for sides in parts.values())


def test_copies_within_one_part_and_label_are_kept() -> None:
    manifest = listing([0, 0, 1, 1], ["a", "a", "b", "c"])
    assert resolve_copies(manifest, skip_bad=False) is manifest


def test_of_many_copies_twenty_are_named_and_the_rest_counted() -> None:
    contents = [str(i) for i in range(13)]
    manifest = listing([0] * 13 + [1] * 13, contents * 2)
    with pytest.raises(DataError, match=r"^26 pictures have copies") as caught:
        resolve_copies(manifest, skip_bad=False)
    assert str(caught.value).count("is the same file as") == 20
    assert "and 6 more" in str(caught.value)


def test_too_few_pictures_after_leaving_some_out_are_still_told() -> None:
    manifest = resolve_copies(listing([0, 0, 0, 1, 1, 1], ["a", "b", "c", "c", "d", "e"]), skip_bad=True)
    with pytest.raises(DataError, match="class 'class0' has 2 different pictures, at least 3"):
        check_classes(manifest, SplitConfig())


# --- the record


def test_the_csv_has_a_row_for_each_picture_whatever_its_name() -> None:
    manifest = assign_parts(distinct(5, 5), CONFIG, 0)
    manifest = replace(manifest, paths=['class0/a, "b"\'s.png', *list(manifest.paths)[1:]])
    manifest.classes[1] = "thé, glacé"
    head, *rows = csv.reader(StringIO(split_csv(manifest)))
    assert head == ["path", "label", "split", "sha256"]
    assert [row[0] for row in rows] == manifest.paths
    assert [row[1] for row in rows] == [manifest.classes[label] for label in manifest.labels]
    assert Counter(row[2] for row in rows) == Counter(manifest.parts)
    assert [row[3] for row in rows] == manifest.digests


def test_the_hash_is_of_contents_parts_and_labels() -> None:
    manifest = assign_parts(distinct(6, 6), CONFIG, 0)
    order = list(reversed(range(12)))
    assert split_hash(reordered(manifest, order)) == split_hash(manifest)
    swapped = dict(zip(PARTS, ("val", "train", "test"), strict=True))
    assert split_hash(manifest.with_parts([swapped[part] for part in manifest.parts])) != split_hash(manifest)
    renamed = Manifest(**{**manifest.__dict__, "classes": ["class0", "other"]})
    assert split_hash(renamed) != split_hash(manifest)
    assert split_hash(manifest.take(np.arange(11))) != split_hash(manifest)


def test_balanced_weights_make_every_class_of_the_train_part_count_alike() -> None:
    """Three cats to a dog, one cat weighing twice; the test part's weights follow its classes."""
    manifest = Manifest(
        name="made",
        source=Files(Path()),
        classes=["cat", "dog", "none here"],
        paths=Strings.of("abcde"),
        labels=np.array([0, 0, 0, 1, 1]),
        parts=Strings.of(["train"] * 4 + ["test"]),
        digests=Strings.of(f"{i:064x}" for i in range(5)),
        weights=np.array([1, 1, 2, 1, 1], np.float32),
    )
    weights = manifest.balanced().weights
    np.testing.assert_allclose(weights, [0.625, 0.625, 1.25, 2.5, 2.5])
    assert weights[:3].sum() == weights[3] and weights[:4].sum() == manifest.weights[:4].sum()


@pytest.mark.parametrize("seed", range(8))
def test_a_group_that_is_larger_than_what_is_held_out_is_trained_on(seed: int) -> None:
    manifest = distinct(120, 10).with_groups(["studio"] * 60 + [""] * 70)
    divided = assign_parts(manifest, CONFIG, seed)
    assert set(list(divided.parts)[:60]) == {"train"}
    assert [int(divided.counts(part)[0]) for part in PARTS] == [84, 12, 24]


STRADDLES = listing(
    [0] * 6 + [1] * 6, [str(i) for i in range(12)], ["train", "train", "val", "train", "test", "test"] * 2
)
GROUPED = STRADDLES.with_groups(["a", "", "a", "b", "b", ""] + [""] * 6)


def test_a_group_in_two_parts_is_refused_or_left_where_it_is_measured() -> None:
    with pytest.raises(DataError, match="2 groups lie in several parts, such as a; `lexnet check` proposes"):
        resolve_groups(GROUPED, skip_bad=False, agreed=())
    left = resolve_groups(GROUPED, skip_bad=True, agreed=())
    assert [(skip.path, skip.reason, skip.bad) for skip in left.skipped] == [
        ("class0/0.png", "is of the group a, which is in the val part too", True),
        ("class0/3.png", "is of the group b, which is in the test part too", True),
    ]
    assert len(left) == 10 and straddling(left) == {}
    assert len(resolve_groups(GROUPED, skip_bad=True, agreed={"a"})) == 11


def test_groups_that_a_person_keeps_stay() -> None:
    assert resolve_groups(GROUPED, skip_bad=False, agreed={"a", "b"}) is GROUPED


@pytest.mark.parametrize("sizes", [[20] * 9 + [19], [20] * 19 + [19], [5] + [50] * 9, [20] * 4 + [19]])
def test_groups_of_nearly_one_size_are_divided_as_if_of_one(sizes: list[int]) -> None:
    groups = [f"{label}-{number}" for label in "ab" for number, size in enumerate(sizes) for _ in range(size)]
    manifest = distinct(sum(sizes), sum(sizes)).with_groups(groups)
    tests = set()
    for seed in range(6):
        divided = assign_parts(manifest, CONFIG, seed)
        tests.add(tuple(divided.where("test").tolist()))
        for part, share in (("val", 0.1), ("test", 0.2)):
            assert abs(divided.counts(part) - share * sum(sizes)).max() <= max(sizes)
            assert divided.counts(part).min() > 0 or len(sizes) < 10
    assert len(tests) >= 4, "not always the smallest"
