"""Names of plugins in specs: what users write, what a run's identity holds, and what stays without the plugin."""

from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import small_study
from plugin_examples import NOISE, OTHERS, Load

from asymbp_cli.errors import RecipeError, UsageError
from asymbp_cli.plugins.registry import forget
from asymbp_cli.recipe.build import make_column
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.recipe import load_recipe, resolved_yaml
from asymbp_cli.recipe.schemas import recipe_schema
from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.specs.methods import Method, method_name, parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.references import Plugin
from asymbp_cli.specs.runs import Run, step_kind
from asymbp_cli.specs.schemes import Number, find_scheme

PLAIN = "dataset: digits\nprotocol: demo\n"
IDS = ["43dff7afc0bb05e8", "6d1c8b9d48789b7d", "927037ef4236f225"]  # SGD, uSF+BN+BM, RndF Top on digits


def run(method: str | Method = "SGD", **protocol: Any) -> Run:
    return Run(
        dataset="f" * 64,
        network=small_study.NETWORK,
        method=parse_method(method) if isinstance(method, str) else method,
        protocol=Protocol(**protocol),
        rate_multiplier=1.0,
        seed=0,
    )


def recipe(text: str) -> Any:
    Path("r.yaml").write_text(PLAIN + text)
    return load_recipe(Path("r.yaml"))


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        recipe(text)
    return caught.value.problems


def test_ids_of_runs_without_plugins_are_what_they_were(load: Load) -> None:
    """Pinned: the ids that the commit before plugins gave."""
    ids = [run(name).id for name in ("SGD", "uSF+BN+BM", "RndF Top")]
    assert ids == IDS
    load(NOISE)
    load(OTHERS, "others.py")
    assert [run(name).id for name in ("SGD", "uSF+BN+BM", "RndF Top")] == IDS


def test_method_names_come_back(load: Load) -> None:
    load(NOISE)
    load(OTHERS, "others.py")
    for name in (
        "wNoise",
        "wNoise+BN+BM2",
        "signKP Top",
        "uSF+Lion",
        "uSF+BN+Lion",
        "Lion",
        "BN+Lion",
        "Lion Bottom",
    ):
        assert method_name(parse_method(name)) == name
        assert parse_method(name.lower()) == parse_method(name)
    assert parse_method("Lion").feedback.scheme == "bp"
    for name in ("uSF+wNoise", "Lion+wNoise", "uSF+Lion+BM", "wNoise-25%", "wNoise-scaled", "uSF+SGD"):
        with pytest.raises(UsageError, match="is not a method"):
            parse_method(name)


def test_the_source_is_part_of_what_uses_it_and_of_nothing_else(load: Load) -> None:
    def ids(text: str) -> list[str]:
        plugin = load(text)
        found = [run("wNoise").id, run("wNoise+BN+BM").id, run("uSF").id]
        forget(plugin)
        return found

    one, same, other = ids(NOISE), ids(NOISE), ids(NOISE + "# a comment\n")
    assert one == same
    assert [a == b for a, b in zip(one, other, strict=True)] == [False, False, True]
    plugin = load(OTHERS)
    rule, initial = run("uSF+Lion"), run("uSF", initialization="Orthogonal")
    assert rule.references == (plugin.refer("Lion"),)
    assert initial.references == (plugin.refer("orthogonal"),)
    measured = run("uSF", measure=["distance", "rank"])
    assert measured.references == (plugin.refer("distance"),)
    assert measured.protocol.measure == ("rank", plugin.refer("distance"))
    mixed = Method(feedback=Feedback.model_validate({"scheme": "mixed", "layers": [{"scheme": "absfa"}] * 2}))
    assert run(mixed).references == (plugin.refer("absFA"),)


def test_runs_of_a_plugin_share_no_stack_and_no_kind_of_step_with_others(load: Load) -> None:
    load(NOISE)
    load(OTHERS, "others.py")
    runs = [run("uSF"), run("wNoise"), run("uSF+Lion"), run("uSF", initialization="orthogonal")]
    assert len({one.stack_key for one in runs}) == len({step_kind(one) for one in runs}) == 4
    assert run("wNoise").stack_key == run("wNoise+BM").stack_key


def test_parameters_are_written_next_to_the_scheme(load: Load) -> None:
    load(NOISE)
    (method,) = recipe("feedback: {scheme: wnoise, s: 0.2}\n").methods
    assert method.label == "wNoise (s 0.2)"
    feedback = method.procedure.method.feedback
    assert feedback.all_numbers == {"s": 0.2}
    (default,) = recipe("feedback: {scheme: wNoise, s: 0.05}\n").methods
    assert default.procedure.method == parse_method("wNoise")
    assert run(method.procedure.method).id != run("wNoise").id
    assert Run.model_validate_json(run(method.procedure.method).model_dump_json()) == run(method.procedure.method)
    layered = recipe("feedback: [{scheme: wNoise, s: 1}, usf, bp]\n").methods[0].procedure.method
    assert layered.feedback.layers[0].numbers == (("s", 1.0),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("feedback: {scheme: wNoise, s: -1}", "r.yaml:3: feedback.s: must be at least 0"),
        ("feedback: {scheme: wNoise, s: high}", "r.yaml:3: feedback.s: must be a number"),
        (
            "feedback: {scheme: wNoise, t: 1}",
            "r.yaml:3: feedback.t: unknown key; allowed are scheme, last, s",
        ),
        ("feedback: {scheme: wNoise, numbers: {t: 1}}", "r.yaml:3: feedback: t is no parameter of wNoise"),
        (
            "feedback: {scheme: wNoise, numbers: 3}",
            "r.yaml:3: feedback.numbers: must be a mapping of names to numbers",
        ),
        ("feedback: {scheme: usf, numbers: {s: 1}}", "r.yaml:3: feedback: s is no parameter of usf"),
        ("feedback: {scheme: wNoise, sigma: 1}", "r.yaml:3: feedback.sigma: belongs to rndf, not to wNoise"),
        ("update: lionn", 'r.yaml:3: update: "lionn" is not one of sgd, bm1, bm2, bm3'),
    ],
)
def test_what_a_plugins_scheme_does_not_take_is_said(text: str, problem: str, load: Load) -> None:
    load(NOISE)
    (found,) = problems(text)
    assert found.startswith(problem)


def test_bounds_of_numbers() -> None:
    assert Number(1.0).check(3) == 3.0
    assert Number(2, least=1, most=3).check(3) == Number(2, least=1, most=3).check(3.0) == 3
    assert [type(Number(default).cast(3.0)) for default in (2, 2.0)] == [int, float]
    for wrong in (nan, inf, -inf, 10**400, -(10**400)):
        for number in (Number(1.0), Number(2), Number(2, least=0, most=3)):
            with pytest.raises(ValueError, match=r"^must be a finite number, of at most 1\.8e308$"):
                number.check(wrong)
    for number, wrong in [(Number(2), 2.5), (Number(2), True), (Number(2, 1, 3), 4)]:
        with pytest.raises(ValueError, match="must be"):
            number.check(wrong)


def test_zero_has_one_identity(load: Load) -> None:
    plugin = load(NOISE)
    fields = ("flip_probability", "brsf"), ("alignment", "soft"), ("noise", "noisy"), ("mirror_decay", "wm")

    def dump(zero: float) -> list[str]:
        own = {"scheme": plugin.refer("wNoise"), "numbers": {"s": zero}}
        content = [own, *({"scheme": scheme, name: zero} for name, scheme in fields)]
        return [run(Method(feedback=Feedback.model_validate(one))).model_dump_json() for one in content]

    known = dump(0.0)
    assert dump(-0.0) == known
    forget(plugin)
    assert dump(-0.0) == known


def test_a_reference_of_another_kind_says_what_it_is(load: Load) -> None:
    plugin = load(OTHERS)
    rule, scheme, initial, measure = map(plugin.refer, ("Lion", "absFA", "orthogonal", "distance"))
    kinds = {"an update rule": rule, "a scheme": scheme, "an initialization": initial, "a measure": measure}
    for kind, name in kinds.items():
        for field, own in [("update", rule), ("feedback", scheme)]:
            if name != own:
                (problem,) = problems(f"{field}: {name}\n")
                assert f'"{name}" is {kind} of mine.py, not one of ' in problem
                with pytest.raises(ValueError, match=f"is {kind} of mine.py, not one of "):
                    Method.model_validate({field: {"scheme": name} if field == "feedback" else name})
        for field, own in [("initialization", initial), ("measure", measure)]:
            if name != own:
                with pytest.raises(ValueError, match=f"is {kind} of mine.py, not one of "):
                    Protocol.model_validate({field: [name] if field == "measure" else name})


@pytest.mark.parametrize(
    "text", ["feedback: wNoise", "feedback: {scheme: wNoise, s: 1}", "method: wNoise+BN", "update: wNoise"]
)
@pytest.mark.usefixtures("load")
def test_a_recipe_without_its_plugin_says_what_to_give(text: str) -> None:
    (problem,) = problems(text)
    assert '"wNoise' in problem
    assert "If a plugin defines it, add --plugin FILE" in problem


def test_a_resolved_recipe_is_the_same_and_names_the_version(load: Load) -> None:
    plugin = load(NOISE)
    first = recipe("method: [{feedback: {scheme: wNoise, s: 0.2}}, wNoise+BN]\n")
    text = resolved_yaml(first)
    assert f"scheme: {plugin.refer('wNoise')}" in text
    Path("r.yaml").write_text(text)
    assert load_recipe(Path("r.yaml")) == first
    forget(plugin)
    for others, problem in [
        ("", "comes from a plugin that is not loaded"),
        ("#", "is of another version of mine.py"),
    ]:
        if others:
            load(NOISE + others)
        with pytest.raises(
            RecipeError, match=rf"method\[0\]\.feedback\.scheme: {plugin.refer('wNoise')} {problem}"
        ):
            load_recipe(Path("r.yaml"))


def test_a_pinned_rule_and_initialization_need_their_plugin(load: Load) -> None:
    load(NOISE)
    missing = Plugin("x", b"x")
    rule, initial = missing.refer("Lion"), missing.refer("orthogonal")
    assert [f"{rule} comes from" in problem for problem in problems(f"update: {rule}\n")] == [True]
    Path("r.yaml").write_text(f"dataset: digits\nmethod: SGD\nprotocol: {{initialization: {initial}}}\n")
    with pytest.raises(RecipeError, match=rf"r\.yaml:3: protocol\.initialization: {initial} comes from a plugin"):
        load_recipe(Path("r.yaml"))
    Path("r.yaml").write_text(f"dataset: digits\nmethod: SGD\nprotocol: {{measure: [rank, {initial}]}}\n")
    with pytest.raises(RecipeError, match=rf"r\.yaml:3: protocol\.measure: {initial} comes from a plugin"):
        load_recipe(Path("r.yaml"))


def test_what_is_stored_can_be_read_without_the_plugin(load: Load) -> None:
    """A name that nobody knows stands for itself; no check refuses its parameters."""
    plugins = load(NOISE), load(OTHERS, "others.py")
    feedback = Feedback(scheme=find_scheme("wNoise"), numbers={"s": 0.2})  # type: ignore[arg-type]
    stored = run(
        Method(feedback=feedback, update="Lion"), initialization="orthogonal", measure=["distance", "growth"]
    )
    text, identity = stored.model_dump_json(), stored.id
    for plugin in plugins:
        forget(plugin)
    again = Run.model_validate_json(text)
    assert again == stored
    assert again.id == identity
    assert method_name(again.method) == "wNoise+Lion (s 0.2)"
    for name in ("unknown", "a b@0011223344556677", "wNoise@0011", "wNoise@001122334455667g"):
        with pytest.raises(ValueError, match="is not one of"):
            Feedback(scheme=name)


def test_a_whole_number_has_one_identity_with_the_plugin_and_without(load: Load) -> None:
    plugin = load(NOISE.replace("Number(0.05, least=0)", "Number(2)"))
    method = Method(feedback=Feedback(scheme=plugin.refer("wNoise"), numbers={"s": 3}))  # type: ignore[arg-type]
    assert method.feedback.all_numbers == {"s": 3}
    assert method_name(method) == "wNoise (s 3)"
    stored, identity = run(method).model_dump_json(), run(method).id
    forget(plugin)
    assert Run.model_validate_json(stored).id == identity
    for name in ("a b", "\x1b[31m", "", "s\n"):
        with pytest.raises(ValueError, match="pattern"):
            Feedback.model_validate({"scheme": plugin.refer("wNoise"), "numbers": {name: 1.0}})


def test_a_column_names_the_version_of_its_plugin(load: Load) -> None:
    plugin = load(OTHERS)
    protocol = Protocol()
    changed = Protocol(initialization="orthogonal", measure=("distance",))
    column = make_column("x", [Procedure(method=parse_method("uSF+Lion"), protocol=changed)], protocol)
    digits, file = plugin.sha256[:8], Path(plugin.label).name
    assert column.note == (
        f"initialization orthogonal, measure distance; Lion of the plugin {file} with SHA-256 {digits}, "
        f"orthogonal of the plugin {file} with SHA-256 {digits}, "
        f"distance of the plugin {file} with SHA-256 {digits}"
    )
    forget(plugin)  # results of a plugin that is not loaded have no file
    column = make_column("x", column.entries, protocol)
    assert column.note.endswith(
        f"; Lion of the plugin with SHA-256 {digits}, orthogonal of the plugin with "
        f"SHA-256 {digits}, distance of the plugin with SHA-256 {digits}"
    )


def test_the_schema_knows_names_and_parameters(load: Load) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="not run: jsonschema is not installed")
    content = {
        "dataset": "digits",
        "protocol": {"initialization": "orthogonal", "measure": ["distance"]},
        "method": [{"feedback": {"scheme": "wNoise", "s": 0.2}, "update": "Lion"}],
    }
    validator = jsonschema.Draft202012Validator
    assert not validator(recipe_schema()).is_valid(content)
    load(NOISE)
    load(OTHERS, "others.py")
    validator(recipe_schema()).validate(content)
