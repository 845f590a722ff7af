"""Settings that a mode would ignore, and nets that cannot be compared: refused before any work is done."""

from dataclasses import fields

from lexnet.config import FitConfig, ProbeConfig, SplitConfig, TrainConfig
from lexnet.errors import ConfigError


def refuse_unused(config: TrainConfig, mode: str) -> None:
    """Raises `ConfigError` for a setting that this mode would ignore."""
    if config.split.folds is None and config.split.repeats != SplitConfig.repeats:
        count = config.split.repeats
        raise ConfigError(f"repeats={count} is how often folds are divided anew; give folds too")
    if mode == "auto":
        return
    if mode == "probe":
        unused = [f.name for f in fields(FitConfig) if getattr(config.fit, f.name) != f.default]
        if unused:
            raise ConfigError(
                f"{', '.join(unused)}: of no use to a linear head; leave it out, or take another --mode"
            )
        if config.class_weight == "sampled":
            raise ConfigError(
                "class_weight='sampled': a linear head sees all pictures at once; "
                "take balanced, which gives the same weight to each class"
            )
        return
    if mode == "scratch" and config.probe != ProbeConfig():
        raise ConfigError("mode=scratch fits no linear head, for which cv and candidates are; leave them out")
    for name in ("max_macs", "max_size", "max_latency"):
        if (limit := getattr(config, name)) is not None:
            raise ConfigError(f"{name}={limit:g} limits a cut net, mode={mode} keeps it whole; leave it out")
    if config.split.folds is not None:
        raise ConfigError(f"folds={config.split.folds} measures linear heads; leave it out with mode={mode}")
    if mode != "tail":
        if config.cut != "none":
            raise ConfigError(f"cut={config.cut!r}: mode={mode} trains the whole net; leave it out")
        if config.views is not None:
            raise ConfigError(f"views={config.views}: mode={mode} makes new copies every epoch; leave it out")
    if mode == "tail" and config.fit.device == "cuda":
        raise ConfigError("device='cuda': a tail is trained on the CPU; leave it out, or --mode finetune")
    if mode == "tail" and config.fit.compile == "always":
        raise ConfigError("compile='always': a tail is not compiled; leave it out, or --mode finetune")
    if mode == "tail" and config.fit.find_lr:
        raise ConfigError(
            "find_lr: a tail starts from a fitted head at a known rate; leave it out, give --lr, or "
            "--mode finetune"
        )


def refuse_several(nets: list[str], config: TrainConfig, mode: str) -> None:
    """Raises `ConfigError` where several nets cannot be compared."""
    if len(set(nets)) < len(nets):
        raise ConfigError(f"net={config.net!r} names one net twice; leave it out")
    if mode == "scratch":
        raise ConfigError(f"net={config.net!r}: several nets are compared frozen; name one with mode=scratch")
    if mode == "probe" and config.cut not in ("auto", "none"):
        raise ConfigError(f"net={config.net!r} with cut={config.cut!r}: take --cut auto, or name one net")
    if config.budget is not None:
        raise ConfigError(
            f"net={config.net!r}: within budget={config.budget!r} there is time for one; name it"
        )
