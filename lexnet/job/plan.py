"""What will be done, decided before it is done: printed, saved, and run again from the file."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import yaml

from lexnet.augment.recipes import RECIPES, breaks_labels, find_recipe, idle, signs
from lexnet.config import MODES, VIEWS, FitConfig, Mode, Recipe, TrainConfig
from lexnet.errors import ConfigError
from lexnet.files import read_yaml
from lexnet.job.events import Listener, Note
from lexnet.job.refuse import refuse_several, refuse_unused
from lexnet.runtime.bundle import read_bundle
from lexnet.settings import from_record, to_record
from lexnet.transfer.trunk import weights_of
from lexnet.weights.files import WEIGHTS, Weights, find_weights
from lexnet.weights.store import need

PLAN_VERSION = 2
DEFAULT_NET = "efficientnet_lite0"
NEW_NET = "resnet20"
SMALL = 64
TRAINED = "changed copies keep what is trained from overfitting"
RECIPE_OF = {
    "probe": ("none", "no augmentation; --recipe photo adds changed copies, each as slow as a picture"),
    "tail": ("photo", TRAINED),
    "finetune": ("photo", TRAINED),
    "scratch": ("cifar", TRAINED),
}
"""Where nobody chose, and why."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request whose net and mode are decided; the engine is whichever works where the plan is run."""

    data: str
    """An absolute path, or the name of a sample set."""
    config: TrainConfig
    reasons: tuple[str, ...] = ()
    """Why each automatic choice came out as it did."""
    classes: tuple[str, ...] = ()
    """What pictures may be called, where that was known: what is chosen for them keeps them apart."""
    judged: bool = False
    """Whether the val part decided the mode."""

    def weights(self) -> Weights:
        """What the net knows before it learns: the published weights, or those of a bundle."""
        if self.config.from_ is not None:
            return weights_of(read_bundle(self.config.from_))
        return find_weights(self.net())

    def net(self) -> str:
        """The net; where that is still open, the one whose features are looked at first."""
        return DEFAULT_NET if self.config.net == "auto" else self.config.net

    def recipe(self) -> Recipe:
        """How the training pictures are changed."""
        recipe = self.config.recipe
        if recipe == "auto":
            return Recipe()
        return recipe if isinstance(recipe, Recipe) else find_recipe(recipe)

    def risks(self, classes: Sequence[str]) -> list[str]:
        """How pictures of one class may come to show another."""
        what = f"recipe {self.recipe_name()} may change what a picture shows"
        risks = [f"{what}: {risk}" for risk in breaks_labels(self.recipe(), classes)]
        if self.config.tta in ("mirror", "ten"):
            what = f"tta {self.config.tta} also looks at what a picture does not show"
            risks += [f"{what}: {risk}" for risk in breaks_labels(Recipe(mirror=1.0), classes)]
        return risks

    def summary(self) -> str:
        """The decisions in one line."""
        config = self.config
        whose = "pictures'" if config.mode == "scratch" else "weights'"
        size = f"{config.size} px" if config.size else f"the {whose} own size"
        views = f"{config.views} view{'s' * (config.views > 1)}" if config.views else "new views"
        more = [f"{views} by recipe {self.recipe_name()}"] if self.recipe() != Recipe() else []
        more += [f"tta {config.tta}"] if config.tta != "none" else []
        more += [f"cut {config.cut}"] if config.cut != "none" else []
        mode = "probe or tail" if config.mode == "auto" else config.mode
        more += [f"within {config.budget}"] if config.budget else []
        choices = ", ".join((self.net(), mode, size, *more))
        return f"plan: {choices}, seed {config.seed}, engine {config.engine}"

    def recipe_name(self) -> str:
        """The recipe's name; "own" for one from a file."""
        recipe = self.config.recipe
        if isinstance(recipe, str):
            return recipe
        like = (name for name, one in RECIPES.items() if one.mirror and replace(one, mirror=0.0) == recipe)
        return next((f"{name} without its mirror" for name in like), "own")

    def to_yaml(self) -> str:
        """The plan as `lexnet train plan.yaml` reads it."""
        head = "# A resolved LexNet plan; `lexnet train` on this file does the same again.\n"
        body = {"plan": PLAN_VERSION, "data": self.data, **to_record(self.config)}
        return head + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)


def make_plan(data: str, config: TrainConfig, classes: Sequence[str] = ()) -> Plan:
    """Decides what the user left open, to suit the classes if they are known; raises for a net without
    weights before any work is done."""
    mode = config.mode
    if config.fixes is not None:
        config = replace(config, fixes=str(Path(config.fixes).absolute()))
    if config.from_ is not None:
        config = replace(config, from_=str(Path(config.from_).absolute()))
    net, reasons = _chosen_net(config)
    if mode == "auto":
        mode, why = _forced(config)
        reasons += [why] if why else []
    refuse_unused(config, mode)
    nets = [_resolved(name.strip()) for name in net.split(",")]
    open_still = mode == config.net == "auto" and config.from_ is None
    net = "auto" if open_still else ",".join(nets)
    if len(nets) > 1:
        refuse_several(nets, config, mode)
    recipe, why_this = _chosen_recipe(config.recipe, mode, net, classes)
    reasons += why_this
    views, unchanged = config.views, recipe == "none" or _changes_nothing(recipe, mode, config.channels)
    if unchanged and views is not None:
        raise ConfigError(f"views={views} of each picture need a recipe that changes it; give --recipe")
    if mode in ("probe", "tail") and not unchanged and config.budget is None:
        views = views or VIEWS
    if isinstance(recipe, Recipe):
        for name, needed in idle(recipe).items():
            value = getattr(recipe, name)
            raise ConfigError(f"recipe: {name}={value} does nothing without {needed}; give both")
    mixing = find_recipe(recipe) if isinstance(recipe, str) and recipe != "auto" else recipe
    if isinstance(mixing, Recipe) and mode in ("probe", "tail") and (mixing.mixup or mixing.cutmix):
        reasons.append(f"mode {mode}: pictures are not mixed, which finetune and scratch alone do")
    for name in nets:
        if mode != "scratch" and config.from_ is None:
            need(find_weights(name))
        if config.cut not in ("auto", "none"):
            _known_stage(name, config.cut)
    fit = config.fit if mode not in MODES or config.budget is not None else _settled(config.fit, mode)
    chosen = replace(config, net=net, mode=mode, recipe=recipe, views=views, fit=fit)
    return Plan(data=data, config=chosen, reasons=tuple(reasons), classes=tuple(classes))


def _chosen_net(config: TrainConfig) -> tuple[str, list[str]]:
    """The net that was named, that of the bundle to go on from, or the usual one; and why."""
    if config.from_ is not None:
        return _net_of_bundle(config, config.from_)
    if config.net != "auto":
        return config.net, []
    if config.mode == "scratch":
        return NEW_NET, [f"net {NEW_NET}: small enough to be trained from nothing"]
    why = "the smallest whose ImageNet weights come with the installation"
    return DEFAULT_NET, [f"net {DEFAULT_NET}: {why}"]


def _net_of_bundle(config: TrainConfig, path: str) -> tuple[str, list[str]]:
    """The net to go on from, and why. Raises `BundleError`, and `ConfigError` where another was asked for."""
    facts = read_bundle(path).manifest
    net, taught = str(facts.get("net")), facts.get("split", {}).get("taught", True)
    if config.net not in ("auto", net):
        raise ConfigError(f"net={config.net!r}, but {path} holds a {net}; leave one of them out")
    if config.mode == "scratch":
        raise ConfigError(f"mode=scratch starts from nothing, and from={path!r} from a bundle; leave one out")
    anew = "" if taught else ", whose head alone was learned, and is fitted anew"
    return net, [f"net {net}: that of {path}{anew}"]


def _chosen_recipe(
    recipe: str | Recipe, mode: Mode, net: str, classes: Sequence[str]
) -> tuple[str | Recipe, list[str]]:
    """The recipe that was named, or what suits the mode and the classes; and why."""
    if recipe == "auto" and mode != "auto":
        usual, why = RECIPE_OF[mode]
        if mode == "scratch" and not _is_small(net):
            usual = "photo"
        suited, reason = _suited(usual, why, classes)
        return suited, [reason]
    if isinstance(recipe, str) and recipe not in (*RECIPES, "auto"):
        return find_recipe(recipe), []
    return recipe, []


def _changes_nothing(recipe: str | Recipe, mode: Mode, channels: int | None) -> bool:
    """Whether each view would be the picture: mixing is for whole nets, colours are for three channels."""
    if isinstance(recipe, str):
        return False
    if mode in ("probe", "tail"):
        recipe = replace(recipe, mixup=0.0, cutmix=0.0)
    if channels == 1:
        recipe = replace(recipe, saturation=0.0, hue=0.0, grey=0.0, channels=0.0, pca=0.0)
    return recipe == Recipe()


def _settled(fit: FitConfig, mode: str) -> FitConfig:
    """With all that needs no measuring: not a rate that is to be found, nor the epochs of a tail, which hang
    on how many pictures there are."""
    resolved = fit.resolved(mode)
    return FitConfig(
        **{f.name: getattr(resolved, f.name) for f in fields(FitConfig)}
        | ({"lr": None} if fit.find_lr else {})
        | ({"epochs": fit.epochs} if mode == "tail" else {})
    )


def announce(plan: Plan, tell: Listener) -> None:
    """Tells why each automatic choice came out as it did, then the plan in one line."""
    for line in (*plan.reasons, plan.summary()):
        tell(Note(line))


def _suited(recipe: str, why: str, classes: Sequence[str]) -> tuple[str | Recipe, str]:
    """The recipe, or one like it that does not turn a picture of one class into one of another; and why."""
    if not (risks := breaks_labels(RECIPES[recipe], classes)):
        return recipe, f"recipe {recipe}: {why}"
    if recipe == "cifar" and signs(classes):
        return "digits", f"recipe digits: {risks[0]}"
    return replace(RECIPES[recipe], mirror=0.0), f"recipe {recipe} without its mirror: {risks[0]}"


def decided(
    plan: Plan,
    *,
    mode: Mode,
    why: str = "",
    net: str | None = None,
    epochs: int | None = None,
    views: int | None = None,
    limit: int | None = None,
    budget: str | None = None,
) -> Plan:
    """The plan with what was left open chosen, and why; whoever calls leaves alone what the user gave."""
    config = plan.config
    fit = config.fit
    if epochs is not None:
        fit = replace(fit, epochs=epochs, warmup=min(fit.warmup, float(epochs)))
    config = replace(
        config,
        mode=mode,
        net=net or config.net,
        budget=budget,
        views=views or config.views,
        fit=fit,
        split=replace(config.split, limit=limit or config.split.limit),
    )
    resolved = make_plan(plan.data, config, plan.classes)
    new = [reason for reason in resolved.reasons if reason not in plan.reasons]
    return replace(resolved, reasons=(*([why] if why else []), *new))


def _forced(config: TrainConfig) -> tuple[Mode, str]:
    """The mode that other settings ask for, and why; auto where none does."""
    if config.cut != "none":
        return "probe", "mode probe: where a net may be cut is told by linear heads"
    if config.split.folds is not None:
        return "probe", "mode probe: linear heads alone are fitted for each fold"
    given = [f.name for f in fields(FitConfig) if getattr(config.fit, f.name) != f.default]
    given += ["views"] if config.views is not None and config.recipe == "auto" else []
    given += ["class_weight"] if config.class_weight == "sampled" else []
    if given:
        return "tail", f"mode tail: {given[0]} is for weights that are trained"
    return "auto", ""


def _is_small(net: str) -> bool:
    """Whether the net was made for pictures of a few dozen pixels."""
    from lexnet.nets import find

    return find(net).size <= SMALL


def read_plan(path: Path, classes: Sequence[str] = ()) -> Plan:
    """A plan from its file; raises `ConfigError` for anything that is not one."""
    try:
        record = read_yaml(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not a readable plan ({error})") from error
    if not isinstance(record, dict) or "plan" not in record or "data" not in record:
        raise ConfigError(f"{path} is not a plan; see plan.yaml in a run folder")
    if (version := record.pop("plan")) != PLAN_VERSION:
        raise ConfigError(
            f"{path} is a plan of version {version!r}, this lexnet reads {PLAN_VERSION}; give its settings "
            "anew, as flags"
        )
    data = record.pop("data")
    try:
        return make_plan(str(data), from_record(TrainConfig, record, path), classes)
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
