"""Everything LexNet raises on purpose.

    LexNetError
    ├── ConfigError       a setting outside its limits              also a ValueError
    ├── UnknownNet        no net of that name                       also a ValueError
    ├── UnknownStage      a net has no stage of that name           also a ValueError
    ├── ShapeError        pictures of a shape the net cannot take   also a ValueError
    ├── WeightsError      pretrained weights missing or not the published ones
    ├── DownloadError     a file cannot be had over the network
    ├── DataError         a folder, its classes or its split cannot be trained on or scored
    │   └── PictureError  one picture cannot be used
    ├── TrainingError     the loss is no longer a number
    ├── OutputError       a result cannot be written where it was asked for
    ├── BundleError       a bundle is damaged, tampered with or not a bundle
    │   └── GraphError    its graph reaches outside itself or does not fit the rest of it
    ├── ParityError       the exported graph does not say what was measured in training
    └── MissingExtra      a part of LexNet that is not installed    also an ImportError

Each message gives the value, the limit and the next step. The command line exits with 1 on a
`ParityError` (a gate failed) and with 2 on the others (bad usage or bad input).
"""

from collections.abc import Iterable, Sequence


class LexNetError(Exception):
    """The root of the tree: `except lexnet.LexNetError` catches what LexNet raises on purpose."""


class ConfigError(LexNetError, ValueError):
    """A setting outside its limits."""


class UnknownNet(LexNetError, ValueError):
    """No net of that name."""


class UnknownStage(LexNetError, ValueError):
    """A net has no stage or block of that name."""


class ShapeError(LexNetError, ValueError):
    """Pictures of a size or number of channels that the net cannot take."""


class WeightsError(LexNetError):
    """Pretrained weights are missing or are not the published ones."""


class DownloadError(LexNetError):
    """A file cannot be had over the network."""


class DataError(LexNetError):
    """A folder, its classes or its split cannot be trained on or scored."""


class PictureError(DataError):
    """One picture cannot be used; `reason` says why, without the path."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class TrainingError(LexNetError):
    """Training cannot go on: its loss is not finite. What it had before is kept."""


class OutputError(LexNetError):
    """A result cannot be written where it was asked for."""


class BundleError(LexNetError):
    """A bundle is damaged, tampered with or not a bundle."""


class GraphError(BundleError):
    """A graph reaches outside itself, cannot be run or does not fit the rest of its bundle."""


class ParityError(LexNetError):
    """The exported graph does not say what was measured in training."""


class MissingExtra(LexNetError, ImportError):
    """A part of LexNet that is not installed."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not installed; in LexNet's folder, `pip install '.[train]'` brings it")


def did_you_mean(near: Iterable[str]) -> str:
    """What to say after an unknown name: the known ones that are near it, if any are."""
    names = " or ".join(near)
    return f" (did you mean {names}?)" if names else ""


def listed(lines: Sequence[str], most: int = 20) -> str:
    """The first lines, one below the other and indented, and how many more there are."""
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "".join(f"\n  {line}" for line in [*lines[:most], *more])


def shown_plain(names: Iterable[object]) -> str:
    """Names out of a file, with commas between them and nothing in them that would steer a terminal."""
    return ", ".join(ascii(str(name))[1:-1] for name in names)
