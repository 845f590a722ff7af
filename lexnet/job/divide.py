"""Which pictures go on to training: refused, left out and divided before anything is computed."""

from lexnet.config import TrainConfig
from lexnet.data.manifest import Manifest
from lexnet.data.splits import assign_parts, resolve_copies
from lexnet.errors import DataError
from lexnet.job.events import Found, Listener, Warned

SHOWN = 20


def divide(manifest: Manifest, config: TrainConfig, tell: Listener) -> Manifest:
    """The manifest without what would spoil it, each picture in its part. Raises `DataError`."""
    refuse_damaged(manifest, config.skip_bad)
    manifest = resolve_copies(manifest, config.skip_bad)
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


def refuse_damaged(manifest: Manifest, skip_bad: bool) -> None:
    """Raises `DataError` naming the pictures that cannot be used, unless told to go on without them."""
    bad = [skip for skip in manifest.skipped if skip.bad]
    if bad and not skip_bad:
        shown = "\n  ".join(f"{skip.path} {skip.reason}" for skip in bad[:SHOWN])
        more = f"\n  and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise DataError(
            f"{len(bad)} picture{'s' * (len(bad) > 1)} cannot be used:\n  {shown}{more}\n"
            "mend or remove them, or go on without them with --skip-bad"
        )
