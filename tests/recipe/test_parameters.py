"""Parameters of a scheme that stand beside a method: what to write is said, with this method and this value."""

import pytest
from written_recipes import PLAIN

from asymbp_cli.errors import RecipeError
from asymbp_cli.recipe.recipe import load_recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "method: {method: uSF, scale: fan}",
            "method.scale: belongs in feedback. In place of this method write feedback: {scheme: usf, scale: f",
        ),
        (
            "method: {method: brSF-10%+BN+BM Top, scale: fan}",
            "write feedback: {scheme: brsf, flip_probability: 0.1, scale: fan}, batch_norm: plain, update: bm1, "
            "train: top",
        ),
        ("method: {method: uSF, scale: 2}", "method.scale: 2 is not one of unit, glorot, kaiming, fan"),
        ("method: {method: SGD, scale: fan}", "method.scale: belongs to usf, brsf, frsf and startsf, not to bp"),
        ("method: {method: softFA, alignment: 0.2}", "write feedback: {scheme: soft, alignment: 0.2}"),
        ("method: {method: 3, alignment: 0.2}", "write feedback: {scheme: soft, alignment: 0.2}"),
        (
            "method: {feedback: usf, scale: fan}",
            "belongs in feedback. Write feedback: {scheme: usf, scale: fan}",
        ),
        ("method: {feedback: usf, sigma: 1}", "method.sigma: belongs to rndf"),
        (
            "method: {feedback: {scheme: frsf, flip_probability: 0.3}, scale: fan}",
            "Write feedback: {scheme: frsf, flip_probability: 0.3, scale: fan}",
        ),
        (
            "scale: fan",
            "scale: belongs in feedback. In place of this method write feedback: {scheme: usf, scale",
        ),
        (
            "scale: fan\nmethod: [SGD, uSF]",
            "scale: belongs in feedback. In place of a method write feedback: {scheme: brsf, scale: fan}",
        ),
        ("scale: 2", "scale: 2 is not one of unit,"),
        ("dataset: ./photos\ntest_fraction: 0.2", "Write dataset: {folder: ./photos, test_fraction: 0.2}"),
    ],
)
def test_a_misplaced_parameter_is_told_where_it_belongs(text: str, message: str) -> None:
    keys = [line.split(":")[0] for line in text.splitlines()]
    lines = [*text.splitlines(), *(f"{key}: {value}" for key, value in PLAIN.items() if key not in keys)]
    with pytest.raises(RecipeError) as caught:
        load_recipe(f"{{{', '.join(lines)}}}")
    assert any(message in problem for problem in caught.value.problems), caught.value.problems
