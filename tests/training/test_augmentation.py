"""Random crops and flips: against plain slices of each image, and what they depend on."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from tiny_stacks import facts, make
from torch import Tensor

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Stack
from asymbp_cli.training.augmentation import Augmentation
from asymbp_cli.training.engine import Trainer, train_stack

CPU = torch.device("cpu")
IMAGES = torch.randint(1, 256, (400, 5, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def begin(seed: int = 0, epoch: int = 1, **choices: Any) -> Augmentation:
    augmentation = Augmentation(Protocol.model_validate({"batch_size": 10**9, **choices}), seed, 400, CPU)
    augmentation.begin_epoch(epoch)
    return augmentation


def find_change(before: Tensor, after: Tensor, border: int) -> tuple[int, int, bool]:
    """Return how far down and to the right the crop [H, W, C] begins in its border, and whether it is flipped."""
    height, width, channels = before.shape
    padded = torch.zeros(height + 2 * border, width + 2 * border, channels, dtype=before.dtype)
    padded[border : border + height, border : border + width] = before
    found = [
        (down, right, flipped)
        for down in range(2 * border + 1)
        for right in range(2 * border + 1)
        for flipped in (False, True)
        if torch.equal(crop(padded, down, right, height, width, flipped), after)
    ]
    (change,) = found
    return change


def crop(padded: Tensor, down: int, right: int, height: int, width: int, flipped: bool) -> Tensor:
    part = padded[down : down + height, right : right + width]
    return part.flip(1) if flipped else part


@pytest.mark.parametrize("border", [1, 2])
@pytest.mark.parametrize("flips", [True, False])
def test_every_image_is_cropped_and_flipped_by_itself(border: int, flips: bool) -> None:
    after = begin(crop_padding=border, horizontal_flip=flips)(IMAGES)
    changes = [find_change(*pair, border) for pair in zip(IMAGES, after, strict=True)]
    places = 2 * border + 1
    for of_change, values in zip(zip(*changes, strict=True), (places, places, 1 + flips), strict=True):
        counts = torch.tensor([float(value) for value in of_change]).unique(return_counts=True)[1]
        assert len(counts) == values
        assert (counts - 400 / values).abs().max() < 4 * (400 / values) ** 0.5  # all are as likely
    assert len(set(changes)) == places * places * (1 + flips)  # and independent


def test_without_a_choice_images_stay() -> None:
    assert begin()(IMAGES) is IMAGES
    assert begin().generators == []


def test_draws_are_those_of_the_seed_and_the_epoch() -> None:
    def change(**key: int) -> Tensor:
        augmentation = begin(**key, crop_padding=2, horizontal_flip=True)
        return torch.cat([augmentation(IMAGES[:100]), augmentation(IMAGES[:37])])

    assert torch.equal(change(), change())
    assert not torch.equal(change(), change(seed=1))
    assert not torch.equal(change(), change(epoch=2))
    assert not torch.equal(change()[:37], change()[100:])  # each mini-batch has its own


CHOICES: Mapping[str, Any] = {"crop_padding": 1, "horizontal_flip": True, "validation_fraction": 0.1}


def test_training_alone_is_augmented(digits_info: DecodedDataset) -> None:
    """Not what tests, what is held out, what BN averages for tests, and what measures see."""
    data = load(digits_info, validation_fraction=0.1)
    seen = []

    class Noting(ResidentData):
        def batch(self, split: Any, index: Tensor, augment: Any = None) -> tuple[Tensor, Tensor]:
            seen.append((split is self.train, bool(augment)))
            return super().batch(split, index, augment)

    run = make(data, "uSF+BN", epochs=1, measure=["gradient-angle"], **CHOICES)
    trainer = Trainer(Stack((run,)), Noting(**vars(data)), CPU)
    list(trainer.train_epoch(1))
    steps = len(trainer.batches(1))
    assert seen[:steps] == [(True, True)] * steps
    assert {augmented for _, augmented in seen[steps:]} == {False}
    assert {train for train, _ in seen[steps:]} == {True, False}


def test_a_stack_and_a_resumed_run_see_the_same_images(digits: ResidentData, tmp_path: Any) -> None:
    runs = [make(digits, name, 0.1, crop_padding=1, horizontal_flip=True) for name in ("SGD", "brSF", "uSF+BM")]
    together = facts(train_stack(Stack(tuple(runs)), digits, checkpoints=tmp_path, checkpoint_seconds=0))
    for run in runs:
        alone = facts(train_stack(Stack((run,)), digits))
        assert alone == [event for event in together if getattr(event, "run", None) == run.id]
        resumed = facts(train_stack(Stack((run,), 2), digits, checkpoints=tmp_path))
        assert resumed == [event for event in alone if getattr(event, "epoch", 3) == 3]
