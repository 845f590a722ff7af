"""The sheet in the report shows what training saw."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_makers import clipart_folder

from lexnet.config import FitConfig, PreprocessSpec, TrainConfig
from lexnet.data.folder import read_folder
from lexnet.data.loader import open_pictures
from lexnet.job.plan import make_plan
from lexnet.job.specimens import _views
from lexnet.train.pixels import TrainingPictures, order


@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_the_views_of_a_whole_net_are_those_of_its_first_epochs(tmp_path: Path, mode: Any) -> None:
    """Of the middle square that is kept of a picture, not of all of it."""
    manifest = read_folder(clipart_folder(tmp_path / "pictures", count=4))
    spec = PreprocessSpec(size=32, short_side=40, mean=(0.0,) * 3, std=(1.0,) * 3)
    plan = make_plan(str(tmp_path), TrainConfig(mode=mode, recipe="photo", seed=3))
    pictures = open_pictures(manifest, spec.around(), 1, warn=pytest.fail, progress=lambda i, n: None)
    pixels = TrainingPictures(
        pictures=pictures, labels=manifest.labels, weights=manifest.weights, spec=spec, classes=2,
        recipe=plan.recipe(), axes=None, seed=3, sampled=False, workers=1, device=torch.device("cpu"),
        batched=False,
    )  # fmt: skip
    for epoch in (0, 1):
        inputs = torch.cat([x for x, _ in pixels.batches(epoch, FitConfig(batch_size=3).resolved("scratch"))])
        place = int(np.flatnonzero(order(manifest.labels, 3, epoch, sampled=False) == 5)[0])
        trained = inputs[place].permute(1, 2, 0).numpy()
        assert np.array_equal(_views(plan, manifest, 5, spec, None, 2)[epoch], trained)
