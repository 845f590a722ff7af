"""Which pictures go on to training: refused or left out before anything is computed, divided after."""

import re
import unicodedata
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexnet.check.duplicates import Pair
from lexnet.check.examine import RATIO
from lexnet.config import MODES, SplitConfig, TrainConfig
from lexnet.data.fixes import Fix, apply_fixes, counted_fixes, kept, read_fixes
from lexnet.data.groups import group_by, join_groups
from lexnet.data.manifest import PARTS, Manifest, refuse_bad
from lexnet.data.splits import (
    MIN_UNDIVIDED,
    assign_parts,
    check_classes,
    cut_down,
    is_divided,
    prefixes,
    resolve_copies,
    resolve_groups,
    straddling,
    stratified,
    with_val,
)
from lexnet.errors import DataError
from lexnet.job.events import Found, Listener, Note, Warned
from lexnet.runtime.bundle import read_bundle

SHOWN = 20
FEW = 5  # training pictures of a class: under it is warned of


def admit(manifest: Manifest, config: TrainConfig, tell: Listener) -> Manifest:
    """The manifest without what would spoil it, corrected and cut down as asked. Raises `DataError`."""
    listed = manifest
    if config.split.group_by is not None:  # before the fixes, which may join or part groups
        manifest = grouped(manifest, config.split.group_by, tell)
    elif manifest.groups.lengths.any():
        sizes = Counter(filter(None, manifest.groups))
        ((largest, size),) = sizes.most_common(1)
        tell(Note(f"{len(sizes):,} groups; the largest, {largest!r}, has {size:,} pictures"))
    fixes: list[Fix] = []
    if config.fixes is not None:
        fixes = read_fixes(Path(config.fixes))
        manifest = corrected(manifest, fixes, config.fixes, tell)
    left = _sound(manifest, config.skip_bad, _agreed_groups(manifest, fixes))
    for part in ("val", "test"):
        if len(listed.where(part)) and not len(left.where(part)):
            tell(Warned(f"nothing is left of the {part} part that the pictures came with"))
    tell_alike(left.classes, tell)
    manifest = cut_down(left, config.split, config.seed)
    if config.mode in MODES and not config.split.val and not len(manifest.where("val")):
        raise DataError(
            f"mode={config.mode} needs a val part to calibrate on, and --val 0 leaves none; raise it"
        )
    assign_parts(manifest, config.split, config.seed)  # what cannot be divided is refused before the work
    tell(Found(manifest))
    return manifest


def _sound(manifest: Manifest, skip_bad: bool, agreed: set[str]) -> Manifest:
    """The pictures but for copies that contradict one another or the parts, and groups that do, unless agreed
    on. One `DataError` names all that is wrong."""
    left, wrong = manifest, list[str]()
    try:
        refuse_bad(manifest.skipped, skip_bad)
    except DataError as error:
        wrong.append(str(error))
    for resolve in (resolve_copies, partial(resolve_groups, agreed=agreed)):
        try:
            left = resolve(left, skip_bad)
        except DataError as error:
            wrong.append(str(error))
    if wrong:
        raise DataError("\n".join(wrong))
    return left


def divide(manifest: Manifest, near: list[Pair], config: TrainConfig, tell: Listener) -> Manifest:
    """Each picture in its part, near copies together, and weighted. Raises `DataError`."""
    check_classes(manifest, config.split)
    for pairs, what in (
        ([p for p in near if manifest.labels[p.first] != manifest.labels[p.second]], "have two labels"),
        ([p for p in near if manifest.parts[p.first] != manifest.parts[p.second]], "lie in two parts"),
    ):
        if pairs:
            a, b = manifest.paths[pairs[0].first], manifest.paths[pairs[0].second]
            many = f"{len(pairs):,} pairs of" if len(pairs) > 1 else "two"
            tell(Warned(f"{many} near copies {what}, such as {a} and {b}; `lexnet check` shows them"))
    known = known_before(manifest, config)
    if is_divided(manifest):
        divided = _as_given(manifest, near, config, tell)
    else:
        divided = _together(manifest, near, config, known, tell)
        counts = ", ".join(f"{part} {len(divided.where(part)):,}" for part in PARTS)
        tell(Note(f"divided: {counts}"))
    measured = np.arange(len(divided)) if config.split.folds else divided.held_out()
    if count := int(known[measured].sum()):
        tell(
            Warned(
                f"{count:,} of the {len(measured):,} pictures to measure on were among those that "
                f"{config.from_} was trained on: the accuracy looks better than it is"
            )
        )
    if few := _with_under(FEW, divided, "train"):
        what = f"under {FEW} training pictures of {_named(few)}"
        tell(Warned(f"{what}: they will hardly be recognised; add some"))
    sizes = divided.counts("train")
    if sizes.max() > RATIO * sizes.min() and config.class_weight == "none":
        most, least = (divided.classes[i] for i in (sizes.argmax(), sizes.argmin()))
        many = f"{sizes.max():,} training pictures of {most} and {sizes.min():,} of {least}"
        tell(Warned(f"{many}: --class-weight balanced lets the classes count the same"))
    for part in ("val", "test"):
        if len(divided.where(part)) and (empty := _with_under(1, divided, part)):
            what = f"the {part} part has no picture of {_named(empty)}"
            tell(Warned(f"{what}: accuracy on them is not measured there"))
    return divided.balanced() if config.class_weight == "balanced" else divided


def _as_given(manifest: Manifest, near: list[Pair], config: TrainConfig, tell: Listener) -> Manifest:
    """In the source's own parts, with a val part where the mode needs one."""
    divided = manifest
    for name in ("test", "val"):
        share, usual = (getattr(one, name) for one in (config.split, SplitConfig))
        if share != usual and (name == "test" or config.mode == "probe" or len(manifest.where("val"))):
            tell(Warned(f"--{name} {share:g} does nothing: the pictures are divided already"))
    if config.mode != "probe" and not len(manifest.where("val")):
        divided = with_val(manifest, config.split.val, config.seed, [pair.rows for pair in near])
        check_classes(divided, config.split)
        count = len(divided.where("val"))
        tell(Note(f"{count:,} of the train part are its val part: the weights are not fitted to them"))
    if groups := straddling(manifest):  # which a person keeps so
        tell(Warned(f"groups in several parts: {_named([*groups])}"))
    return divided


def _with_under(least: int, manifest: Manifest, part: str) -> list[str]:
    """The classes with fewer pictures in the part."""
    counts = manifest.counts(part)
    return [name for name, count in zip(manifest.classes, counts, strict=True) if count < least]


def _agreed_groups(manifest: Manifest, fixes: list[Fix]) -> set[str]:
    """Those that a person has looked at and keeps in two parts."""
    agreed = kept(fixes)
    rows = zip(manifest.paths, manifest.groups, strict=True)
    return {group for path, group in rows if group and (path, "groups") in agreed}


def _named(classes: list[str]) -> str:
    more = f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
    return ", ".join(classes[:SHOWN]) + more


def tell_alike(classes: list[str], tell: Listener) -> None:
    """Warns of names that differ in capitals, in what parts their words, or in letters that do not show."""
    alike = defaultdict[str, list[str]](list)
    for name in classes:
        seen = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
        alike[re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", seen.strip().casefold())].append(name)
    for names in alike.values():
        if len(names) > 1:
            tell(Warned(f"the classes {' and '.join(map(repr, names))} are spelt alike: are they one?"))


def corrected(manifest: Manifest, fixes: list[Fix], name: str, tell: Listener) -> Manifest:
    """The manifest with the corrections made, and without the classes of which they leave nothing; see
    `apply_fixes`."""
    tell(Note(f"{name}: {counted_fixes(manifest, fixes)}"))
    left = apply_fixes(manifest, fixes, name)
    sizes = [np.bincount(one.labels, minlength=len(one.classes)) for one in (manifest, left)]
    emptied = [name for name, before, now in zip(left.classes, *sizes, strict=True) if before and not now]
    if not emptied:
        return left
    tell(Note(f"{name} leaves no picture of {_named(emptied)}: no class any more"))
    return left.under([name for name in left.classes if name not in emptied])


def grouped(manifest: Manifest, pattern: str, tell: Listener) -> Manifest:
    """With the groups that a pattern makes; tells how many, what they replace, and which pictures it does not
    fit."""
    if given := len(set(manifest.groups) - {""}):
        tell(Warned(f"group-by {pattern} takes the place of the {given:,} groups that {manifest.name} gives"))
    manifest = group_by(manifest, pattern)
    tell(Note(f"group-by {pattern}: {len(set(manifest.groups) - {''}):,} groups"))
    alone = [path for path, group in zip(manifest.paths, manifest.groups, strict=True) if not group]
    if alone:
        tell(
            Warned(
                f"group-by {pattern} does not fit {len(alone):,} of {len(manifest):,} pictures, such as "
                f"{alone[0]}: each of these is a group of its own"
            )
        )
    return manifest


def known_before(manifest: Manifest, config: TrainConfig) -> NDArray[np.bool_]:
    """(N,) whether the net to go on from has learned from the picture."""
    if config.from_ is None:
        return np.zeros(len(manifest), bool)
    return np.isin(prefixes(manifest.digests), read_bundle(config.from_).taught)


def _together(
    manifest: Manifest, near: list[Pair], config: TrainConfig, known: NDArray[np.bool_], tell: Listener
) -> Manifest:
    if not near:
        return assign_parts(manifest, config.split, config.seed, known)
    pictures = len({row for pair in near for row in pair.rows})
    tell(Note(f"{pictures:,} pictures have near copies: those stay in one part"))
    grouped = join_groups(manifest, [pair.rows for pair in near])
    try:
        return assign_parts(grouped, config.split, config.seed, known)
    except DataError as error:
        units = stratified(grouped, np.arange(len(grouped)), config.seed)
        few = [label for label, mine in enumerate(units) if len(mine) < MIN_UNDIVIDED]
        rest = [p for p in near if not {int(manifest.labels[row]) for row in p.rows} & set(few)]
        if len(rest) < len(near):
            names = ", ".join(manifest.classes[label] for label in few)
            tell(Warned(f"near copies of {names} are on both sides of the split: {error}"))
            return _together(manifest, rest, config, known, tell)
        tell(
            Warned(
                f"near copies are on both sides of the split, which makes the accuracy look better: {error}"
            )
        )
        return assign_parts(manifest, config.split, config.seed, known)
