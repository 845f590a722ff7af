"""Two pictures in one, and how much of each class that is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from lexnet.augment.mix import Mixing, mix, sample_mixing, soft_labels
from lexnet.augment.recipes import RECIPES
from lexnet.config import Recipe

MIXUP, CUTMIX, BOTH = Recipe(mixup=0.4), Recipe(cutmix=1.0), Recipe(mixup=0.4, cutmix=1.0)
ITEMS = [f"{i}.png" for i in range(200)]


def drawn(recipe: Recipe, items: list[str] = ITEMS, seed: int = 0, epoch: int = 0) -> Mixing:
    mixing = sample_mixing(recipe, seed, epoch, items)
    assert mixing is not None
    return mixing


def flat(count: int, height: int = 24, width: int = 40) -> Tensor:
    """(N, 3, H, W) pictures of one level each: the picture's number."""
    return torch.arange(float(count)).view(-1, 1, 1, 1).expand(count, 3, height, width).contiguous()


# --- what is drawn


@pytest.mark.parametrize("name", ["none", "mirror", "alexnet", "lecture", "photo", "digits"])
def test_a_recipe_without_mixing_mixes_nothing(name: str) -> None:
    assert sample_mixing(RECIPES[name], 0, 0, ITEMS) is None


@pytest.mark.parametrize("recipe", [MIXUP, CUTMIX, BOTH], ids=["mixup", "cutmix", "both"])
def test_what_a_picture_draws_does_not_depend_on_its_batch(recipe: Recipe) -> None:
    whole = drawn(recipe)
    rows = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    for batch in (rows, rows[:1], rows[50:81], rows.flip(0)):
        part = drawn(recipe, [ITEMS[i] for i in batch])
        assert torch.equal(part.share, whole.share[batch])
        assert torch.equal(part.cut, whole.cut[batch])
        assert torch.equal(part.boxes, whole.boxes[batch])


@pytest.mark.parametrize("recipe", [MIXUP, CUTMIX], ids=["mixup", "cutmix"])
def test_every_seed_epoch_and_picture_draws_anew(recipe: Recipe) -> None:
    draws = [drawn(recipe, seed=seed, epoch=epoch).share for seed in (0, 1) for epoch in (0, 1, 12)]
    together = torch.cat(draws)
    below_one = together[together < 1 - 1e-6]  # several round to 1 in float32
    assert len(below_one) > 600 and len(below_one.unique()) == len(below_one)


def test_draws_are_pinned() -> None:
    mixing = drawn(CUTMIX, ["birds/0.png"], seed=1, epoch=2)
    assert mixing.share.tolist() == pytest.approx([0.18776361644], rel=1e-6)
    assert mixing.boxes[0].tolist() == pytest.approx(
        [0.04206212015, 0.03787952659, 0.94330370056, 0.93912110701], rel=1e-6
    )


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_of_the_beta_distribution(alpha: float) -> None:
    for recipe in (Recipe(mixup=alpha), Recipe(cutmix=alpha)):
        share = torch.cat([drawn(recipe, epoch=epoch).share for epoch in range(10)])
        assert ((share >= 0) & (share <= 1)).all()
        deviation = (1 / (4 * (2 * alpha + 1))) ** 0.5
        assert share.mean().item() == pytest.approx(0.5, abs=4 * deviation / 2000**0.5)
        assert share.std().item() == pytest.approx(deviation, rel=0.06)


def test_each_of_both_kinds_has_a_half_of_the_pictures_and_mixes_them_as_it_does_alone() -> None:
    both, pixels = drawn(BOTH), torch.rand(200, 3, 24, 40)
    assert 70 < both.cut.sum() < 130
    assert not drawn(MIXUP).cut.any() and drawn(CUTMIX).cut.all()
    mixed, share = mix(pixels, both)
    for recipe, rows in ((MIXUP, ~both.cut), (CUTMIX, both.cut)):
        alone, own = mix(pixels, drawn(recipe))
        assert torch.equal(mixed[rows], alone[rows]) and torch.equal(share[rows], own[rows])


def test_boxes_lie_within_the_picture_with_the_area_drawn() -> None:
    mixing = drawn(CUTMIX)
    left, top, right, bottom = mixing.boxes.unbind(1)
    assert (mixing.boxes >= 0).all() and (mixing.boxes <= 1 + 1e-6).all()
    torch.testing.assert_close((right - left) * (bottom - top), 1 - mixing.share, check_dtype=False)


# --- what is mixed


def test_mixup_is_the_weighted_mean_of_a_picture_and_the_next() -> None:
    pixels = torch.rand(6, 3, 8, 10)
    mixing = drawn(MIXUP, ITEMS[:6])
    mixed, share = mix(pixels, mixing)
    assert torch.equal(share, mixing.share)
    for i in range(6):
        expected = share[i] * pixels[i] + (1 - share[i]) * pixels[(i + 1) % 6]
        torch.testing.assert_close(mixed[i], expected)


@pytest.mark.parametrize(("height", "width"), [(24, 40), (1, 1), (7, 3), (224, 224)])
def test_cutmixs_share_is_the_share_of_the_pixels_counted(height: int, width: int) -> None:
    pixels = flat(50, height, width)
    mixing = drawn(CUTMIX, ITEMS[:50])
    mixed, share = mix(pixels, mixing)
    for i in range(50):
        own, other = mixed[i] == i, mixed[i] == (i + 1) % 50
        assert (own | other).all()
        assert share[i].item() == pytest.approx(own[0].float().mean().item(), abs=1e-6)
    difference = (share - mixing.share).abs().max().item()
    assert difference <= (1 + 1 / height) * (1 + 1 / width) - 1 + 1e-6, "each side within a pixel"


def test_whole_pixels_favour_neither_picture() -> None:
    mixing = drawn(CUTMIX)
    _, share = mix(torch.zeros(200, 1, 64, 64), mixing)
    assert abs((share - mixing.share).mean().item()) < 0.2 / 64, "a fifth of a pixel on one side"


def test_what_cutmix_cuts_in_is_a_rectangle_from_the_same_place() -> None:
    pixels = torch.rand(20, 3, 24, 40)
    mixed, share = mix(pixels, drawn(CUTMIX, ITEMS[:20]))
    for i in range(20):
        cut = (mixed[i] != pixels[i]).all(0)
        rows, columns = cut.any(1), cut.any(0)
        assert torch.equal(cut, rows[:, None] & columns)
        assert torch.equal(mixed[i][:, cut], pixels[(i + 1) % 20][:, cut])
        assert 1 - share[i].item() == pytest.approx(cut.float().mean().item(), abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("cut", [False, True])
def test_all_and_nothing(share: float, cut: bool) -> None:
    pixels, side = torch.rand(3, 1, 5, 5), 1 - share
    box = torch.tensor([[0.0, 0.0, side, side]] * 3)
    mixed, left = mix(pixels, Mixing(torch.full((3,), share), torch.full((3,), cut), box))
    assert torch.equal(mixed, pixels if share else pixels.roll(-1, 0))
    assert torch.equal(left, torch.full((3,), share))


def test_a_batch_of_one_is_mixed_with_itself() -> None:
    pixels = torch.rand(1, 3, 8, 8)
    for recipe in (MIXUP, CUTMIX):
        torch.testing.assert_close(mix(pixels, drawn(recipe, ["a"]))[0], pixels)


def test_the_pictures_given_are_left_as_they_were() -> None:
    pixels = torch.rand(6, 3, 8, 8)
    before = pixels.clone()
    for recipe in (MIXUP, CUTMIX):
        mix(pixels, drawn(recipe, ITEMS[:6]))
    assert torch.equal(pixels, before)


# --- labels


def test_each_picture_of_a_mixture_counts_what_it_counts_alone() -> None:
    """Nine of a common class and one of a rare one, balanced: mixing leaves each class half of all."""
    labels = torch.tensor([0] * 9 + [1])
    weights = torch.tensor([5 / 9] * 9 + [5.0])
    share = torch.full((10,), 0.7)
    target = soft_labels(labels, 2, share, smoothing=0.1, weights=weights)
    torch.testing.assert_close(target.sum(0), torch.tensor([5.0, 5.0]))
    torch.testing.assert_close(target.sum(1), 0.7 * weights + 0.3 * weights.roll(-1, 0))


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=9),
    smoothing=st.floats(0, 1),
    alpha=st.floats(0.01, 10),
    cut=st.booleans(),
)
def test_soft_labels_are_shares_that_sum_to_one(
    labels: list[int], smoothing: float, alpha: float, cut: bool
) -> None:
    recipe = Recipe(cutmix=alpha) if cut else Recipe(mixup=alpha)
    share = drawn(recipe, ITEMS[: len(labels)]).share
    target = soft_labels(torch.tensor(labels), 5, share, smoothing)
    assert target.shape == (len(labels), 5) and (target >= 0).all()
    torch.testing.assert_close(target.sum(1), torch.ones(len(labels)))


def test_without_mixing_a_label_is_one_class() -> None:
    assert soft_labels(torch.tensor([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    smoothed = soft_labels(torch.tensor([2, 0]), 4, smoothing=0.1)
    torch.testing.assert_close(smoothed, torch.tensor([[0.025, 0.025, 0.925, 0.025], [0.925] + [0.025] * 3]))


@pytest.mark.parametrize("recipe", [MIXUP, CUTMIX], ids=["mixup", "cutmix"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_weighted_sum_of_two_losses(recipe: Recipe, smoothing: float) -> None:
    """As Zhang et al. and Yun et al. write it, picture by picture, with torch's own smoothing."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(16, 7, generator=generator)
    labels = torch.randint(0, 7, (16,), generator=generator)
    _, share = mix(torch.rand(16, 3, 12, 12), drawn(recipe, ITEMS[:16]))
    loss = cross_entropy(logits, soft_labels(labels, 7, share, smoothing), reduction="none")
    own, other = (
        cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
        for target in (labels, labels.roll(-1))
    )
    torch.testing.assert_close(loss, share * own + (1 - share) * other)


def test_labels_follow_the_pictures() -> None:
    """The share of each level in the picture is the share of its class in the label."""
    pixels, labels = flat(8), torch.arange(8)
    for recipe in (MIXUP, CUTMIX):
        mixed, share = mix(pixels, drawn(recipe, ITEMS[:8]))
        mean = mixed.mean((1, 2, 3))
        torch.testing.assert_close(mean, soft_labels(labels, 8, share) @ labels.float())
