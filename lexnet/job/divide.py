"""Which pictures go on to training: refused, left out and divided before anything is computed."""

from pathlib import Path

from lexnet.config import TrainConfig
from lexnet.data.fixes import apply_fixes, read_fixes
from lexnet.data.manifest import Manifest, refuse_bad
from lexnet.data.splits import assign_parts, choose, resolve_copies
from lexnet.job.events import Found, Listener, Warned

SHOWN = 20


def divide(manifest: Manifest, config: TrainConfig, tell: Listener) -> Manifest:
    """The manifest without what would spoil it, each picture in its part. Raises `DataError`."""
    if config.fixes is not None:
        manifest = apply_fixes(manifest, read_fixes(Path(config.fixes)), config.fixes)
    refuse_bad(manifest.skipped, config.skip_bad)
    manifest = resolve_copies(manifest, config.skip_bad)
    manifest = choose(manifest, config.split, config.seed)
    manifest = assign_parts(manifest, config.split, config.seed)
    tell(Found(manifest))
    for part in ("val", "test"):
        empty = [c for c, n in zip(manifest.classes, manifest.counts(part), strict=True) if not n]
        if empty and len(manifest.where(part)):
            shown = ", ".join(empty[:SHOWN]) + (
                f" and {len(empty) - SHOWN} more" if len(empty) > SHOWN else ""
            )
            tell(Warned(f"the {part} part has no picture of {shown}: nothing is known of them there"))
    return manifest
