"""What to do about each finding: a proposal a row, for a person to agree to or to change."""

from lexnet.check.examine import Findings
from lexnet.data.fixes import Fix

RANK = {"": 0, "train": 1, "val": 2, "test": 3}


def proposals(found: Findings) -> list[Fix]:
    """Rows for fixes.csv, by fault. Of copies one is kept, that in the test part before others."""
    manifest = found.manifest
    paths, classes = manifest.paths, manifest.classes
    fixes = [Fix(skip.path, "unreadable", "drop", why=skip.reason) for skip in found.unreadable]
    suspects = {doubt.row: doubt for doubt in found.doubts}
    conflicts = set(found.conflicts())
    for rows in found.alike():
        if rows in conflicts:
            names = " or ".join(sorted({classes[manifest.labels[row]] for row in rows}))
            accused = [row for row in rows if row in suspects] or list(rows)
            for row in accused:
                fixes.append(Fix(paths[row], "label_conflicts", "drop", why=f"one picture, called {names}"))
            continue
        keep = max(rows, key=lambda row: (RANK[manifest.parts[row]], -row))
        fault = "leaks" if len({manifest.parts[row] for row in rows}) > 1 else "exact_duplicates"
        exact = len({manifest.digests[row] for row in rows}) == 1
        for row in rows:
            if row == keep:
                continue
            why = f"{'the same file as' if exact else 'nearly the same as'} {paths[keep]}"
            if exact or fault == "leaks":
                fixes.append(Fix(paths[row], fault, "drop", why=why))
            else:
                fixes.append(Fix(paths[row], "near_duplicates", "regroup", _group(found, rows), why))
                fixes.append(Fix(paths[keep], "near_duplicates", "regroup", _group(found, rows), "its twin"))
    for doubt in found.doubts:
        label = classes[doubt.label]
        why = f"{label} with probability {doubt.probability:.2f}"
        fixes.append(Fix(paths[doubt.row], "suspect_labels", "keep", label, why))
    for row, far in found.outliers:
        fixes.append(Fix(paths[row], "outliers", "keep", why=f"{far:.1f} spreads farther than the median"))
    return fixes


def _group(found: Findings, rows: tuple[int, ...]) -> str:
    """The group they have, or one called after the first of all that are joined with them."""
    groups = [group for row in rows if (group := found.manifest.groups[row])]
    return groups[0] if groups else f"near-{found.manifest.digests[found.joined[rows[0]]][:12]}"
