"""What will be done, decided before it is done: printed, saved, and run again from the file."""

from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from lexnet.augment.recipes import RECIPES, find_recipe
from lexnet.config import FitConfig, Recipe, TrainConfig
from lexnet.errors import ConfigError, shown_plain
from lexnet.weights.files import WEIGHTS, find_weights
from lexnet.weights.store import need

PLAN_VERSION = 1
DEFAULT_NET = "efficientnet_lite0"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request whose net and mode are decided; the engine is whichever works where the plan is run."""

    data: str
    """An absolute path, or the name of a sample set."""
    config: TrainConfig
    reasons: tuple[str, ...] = ()
    """Why each automatic choice came out as it did."""

    def recipe(self) -> Recipe:
        """How the training pictures are changed."""
        recipe = self.config.recipe
        return recipe if isinstance(recipe, Recipe) else find_recipe(recipe)

    def summary(self) -> str:
        """The decisions in one line."""
        config = self.config
        size = f"{config.size} px" if config.size else "the weights' own size"
        more = [f"{config.views} views by recipe {self.recipe_name()}"] if self.recipe() != Recipe() else []
        more += [f"tta {config.tta}"] if config.tta != "none" else []
        more += [f"cut {config.cut}"] if config.cut != "none" else []
        choices = ", ".join((config.net, config.mode, size, *more))
        return f"plan: {choices}, seed {config.seed}, engine {config.engine}"

    def recipe_name(self) -> str:
        """The recipe's name; "own" for one from a file."""
        return self.config.recipe if isinstance(self.config.recipe, str) else "own"

    def to_yaml(self) -> str:
        """The plan as `lexnet train plan.yaml` reads it."""
        head = "# A resolved LexNet plan; `lexnet train` on this file does the same again.\n"
        body = {"plan": PLAN_VERSION, "data": self.data, **_plain(asdict(self.config))}
        return head + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)


def make_plan(data: str, config: TrainConfig) -> Plan:
    """Decides what the user left open; raises for a net without weights before any work is done."""
    reasons = []
    net, mode = config.net, config.mode
    if net == "auto":
        net = DEFAULT_NET
        reasons.append(f"net {net}: the smallest whose ImageNet weights come with the installation")
    if mode == "auto":
        mode = "probe"
        reasons.append("mode probe: a linear head on the frozen net takes seconds once features are cached")
    unused = [f.name for f in fields(FitConfig) if getattr(config.fit, f.name) != f.default]
    if mode == "probe" and unused:
        raise ConfigError(
            f"{', '.join(unused)}: a linear head has no such thing; leave it out, or --mode tail"
        )
    if mode == "tail" and config.max_macs is not None:
        raise ConfigError(
            f"max_macs={config.max_macs:g} limits a cut net, mode=tail keeps it whole; leave it out"
        )
    if mode == "tail" and config.split.folds is not None:
        raise ConfigError(f"folds={config.split.folds} measures linear heads; leave it out with mode=tail")
    recipe = config.recipe
    if recipe == "auto" and mode == "tail":
        recipe = "photo"
        reasons.append("recipe photo: what is trained must not learn the pictures by heart")
    if recipe == "auto":
        recipe = "none"
        reasons.append("recipe none: each changed copy costs as much as a picture; --recipe photo adds some")
    elif isinstance(recipe, str) and recipe not in RECIPES:
        recipe = find_recipe(recipe)
    if recipe in ("none", Recipe()) and config.views != TrainConfig.views:
        raise ConfigError(
            f"views={config.views} of each picture need a recipe that changes it; give --recipe"
        )
    net = _resolved(net)
    need(find_weights(net))
    if config.cut not in ("auto", "none"):
        _known_stage(net, config.cut)
    return Plan(data=data, config=replace(config, net=net, mode=mode, recipe=recipe), reasons=tuple(reasons))


def read_plan(path: Path) -> Plan:
    """A plan from its file; raises `ConfigError` for anything that is not one."""
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is not a readable plan ({error})") from error
    if not isinstance(record, dict) or record.pop("plan", None) != PLAN_VERSION or "data" not in record:
        raise ConfigError(f"{path} is not a plan of version {PLAN_VERSION}; see plan.yaml in a run folder")
    data = record.pop("data")
    try:
        return make_plan(str(data), _build(TrainConfig, record, path))
    except (AttributeError, TypeError) as error:
        raise ConfigError(f"{path} has a setting of the wrong type ({error})") from error


def _known_stage(net: str, stage: str) -> None:
    import torch

    from lexnet.nets import NETS

    with torch.device("meta"):
        NETS[net].build(classes=0).cut(stage)


def _resolved(net: str) -> str:
    """The lexicon's own name of a net; told without loading torch where it has weights."""
    if net in {weights.net for weights in WEIGHTS}:
        return net
    from lexnet.nets import resolve

    return resolve(net)


def _build(kind: type[Any], record: dict[str, Any], path: Path) -> Any:
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(set(record) - set(known)):
        raise ConfigError(f"{path} has settings this lexnet does not know: {shown_plain(unknown)}")
    values = {}
    for name, value in record.items():
        default = known[name].default_factory
        if is_dataclass(default):
            if not isinstance(value, dict):
                raise ConfigError(f"{path} gives {name}: {value!r}; it has settings of its own, one a line")
            value = _build(default, value, path)
        elif name == "recipe" and isinstance(value, dict):  # one of the user's own, written out
            value = _build(Recipe, value, path)
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def _plain(value: Any) -> Any:
    """Tuples as lists, for YAML."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
