"""What a job tells can be read as it is."""

from pathlib import Path

import numpy as np
import pytest

from lexnet.data.columns import Strings
from lexnet.data.manifest import Files, Manifest
from lexnet.job.events import Choices, Event, Found, Judged, Narrator, Note, Option, Progress, Warned

LONG, SHORT = Option(mode="tail", seconds=240.4, epochs=8), Option(mode="probe", seconds=12)
TOLD = {
    "3 pictures of 2 classes": Found(
        Manifest(
            name="x",
            source=Files(Path()),
            classes=["a", "b"],
            paths=Strings.of("123"),
            labels=np.array([0, 1, 1]),
            parts=Strings.empty(3),
            digests=Strings.empty(3),
        )
    ),
    "mode probe: few": Note("mode probe: few"),
    "warning: mind": Warned("mind"),
    "head: 1,000 of 2,000": Progress("head", 1000, 2000),
    "epoch 3 of 9: loss 0.500": Judged(9, {"epoch": 3, "loss": 0.5}),
    "epoch 3 of 9: loss 0.500, val accuracy 91.2 %, val log loss 0.250": Judged(
        9, {"epoch": 3, "loss": 0.5, "val_accuracy": 0.912, "val_log_loss": 0.25}
    ),
    "epoch 9 of 9: loss 0.001, val accuracy 99.9 %, val log loss 0.002": Judged(
        9, {"epoch": 9, "loss": 0.001, "val_accuracy": 0.9999, "val_log_loss": 0.002}
    ),
    "choices: tail (8 epochs) 240 s, probe 12 s; taken: probe": Choices((LONG, SHORT), SHORT, 60),
    "choices: tail (8 epochs) 240 s": Choices((LONG,), None, None),
}


@pytest.mark.parametrize("text", TOLD)
def test_each_event_is_a_line(text: str) -> None:
    assert str(TOLD[text]) == text


def test_a_narrator_names_a_step_once() -> None:
    said: list[str] = []
    narrator = Narrator(said.append)
    events: list[Event] = [Progress("head", 1, 4), Progress("head", 2, 4), Note("x"), Progress("head", 3, 4)]
    for event in [*events, Progress("verify", 1, 9)]:
        narrator(event)
    assert said == ["head (4)", "x", "verify (9)"]
