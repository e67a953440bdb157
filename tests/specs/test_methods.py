"""Names of methods, as the headers of the paper's tables write them, and what they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from asymbp_cli.errors import UsageError
from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.specs.methods import PAPER_METHODS, Method, method_name, parse_method
from asymbp_cli.specs.schemes import SCHEMES, find_scheme


def test_the_paper_has_35_methods_and_each_name_comes_back() -> None:
    assert len(PAPER_METHODS) == len(set(PAPER_METHODS)) == 35
    methods = [parse_method(name) for name in PAPER_METHODS]
    assert len(set(methods)) == 35
    assert [method_name(method) for method in methods] == list(PAPER_METHODS)


@pytest.mark.parametrize(
    ("name", "scheme", "flip", "batch_norm", "update", "train"),
    [
        ("SGD", "bp", 0, "none", "sgd", "all"),
        ("BP", "bp", 0, "none", "sgd", "all"),
        ("BM", "bp", 0, "none", "bm1", "all"),
        ("BM1", "bp", 0, "none", "bm1", "all"),
        ("BM3", "bp", 0, "none", "bm3", "all"),
        ("Adam", "bp", 0, "none", "adam", "all"),
        ("uSF+BN+adam", "usf", 0, "plain", "adam", "all"),
        ("BN", "bp", 0, "learnable", "sgd", "all"),
        ("BN+BM", "bp", 0, "learnable", "bm1", "all"),
        ("uSF", "usf", 0, "none", "sgd", "all"),
        ("NuSF", "nusf", 0, "none", "sgd", "all"),
        ("uSF+BN", "usf", 0, "plain", "sgd", "all"),
        ("uSF+BN+BM2", "usf", 0, "plain", "bm2", "all"),
        ("uSF+BM+BN", "usf", 0, "plain", "bm1", "all"),
        ("brSF-100%+BN+BM", "brsf", 1, "plain", "bm1", "all"),
        ("frSF-25%", "frsf", 0.25, "none", "sgd", "all"),
        ("frSF-0%", "frsf", 0, "none", "sgd", "all"),
        ("brSF-12.5%", "brsf", 0.125, "none", "sgd", "all"),
        ("RndF+BN+BM Bottom", "rndf", 0, "plain", "bm1", "bottom"),
        ("SGD Top", "bp", 0, "none", "sgd", "top"),
        ("  usf+bn+bm   top ", "usf", 0, "plain", "bm1", "top"),
    ],
)
def test_what_a_name_means(name: str, scheme: str, flip: float, batch_norm: str, update: str, train: str) -> None:
    method = parse_method(name)
    assert (method.feedback.scheme, method.feedback.flip_probability) == (scheme, flip)
    assert (method.batch_norm, method.update, method.train) == (batch_norm, update, train)


def test_batch_norm_is_learnable_only_with_plain_backpropagation() -> None:
    """Section 3: scale and shift are learnt in the columns BN and BN+BM and nowhere else."""
    learnable = [name for name in PAPER_METHODS if parse_method(name).batch_norm == "learnable"]
    assert learnable == ["BN", "BN+BM"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            " ",
            "uSFF",
            "uSF+",
            "+BN",
            "uSF+BN+BN",
            "uSF+BM+BM2",
            "BM4",
            "BM+BM",
            "BN+BN",
            "uSF+SGD",
            "SGD+uSF",
        ),
        *(
            "brSF-%",
            "brSF--5%",
            "brSF-p",
            "brSF-\u0662\u0665%",
            "uSF Middle",
            "uSFTop",
            "all",
        ),
    ],
)
def test_what_is_no_method_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r'^".*" is not a method\..*\(asymbp ls methods\)$'):
        parse_method(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("uSF-50%", "-50% (flip_probability) belongs to brsf and frsf, not to usf (asymbp ls schemes)"),
        ("BN-50%", "-50% (flip_probability) belongs to brsf and frsf, not to bp (asymbp ls schemes)"),
        (
            "RndF-scaled+BN",
            "-scaled (scale) belongs to usf, brsf, frsf and startsf, not to rndf (asymbp ls schemes)",
        ),
        ("brSF-100.5%", "the share of opposite signs is at most 100%"),
    ],
)
def test_a_parameter_that_a_scheme_does_not_take_is_named(name: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_method(name)
    assert str(error.value) == f'"{name}" is not a method: {why}'


def test_the_nearest_method_is_offered() -> None:
    with pytest.raises(UsageError, match=r'"uSF\+BN\+MB" is not a method\. Did you mean "uSF\+BN\+BM"\?'):
        parse_method("uSF+BN+MB")


METHODS = st.builds(
    Method,
    feedback=st.one_of(
        st.builds(Feedback, scheme=st.sampled_from(["bp", "usf", "nusf", "rndf"])),
        st.builds(
            Feedback,
            scheme=st.sampled_from(["brsf", "frsf"]),
            flip_probability=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        ),
        st.builds(Feedback, scheme=st.just("rndf"), sigma=st.sampled_from([0.05, 0.1, 2.0])),
    ),
    batch_norm=st.sampled_from(["none", "plain", "learnable"]),
    update=st.sampled_from(["sgd", "bm1", "bm2", "bm3", "adam"]),
    train=st.sampled_from(["all", "top", "bottom"]),
)


@given(METHODS, METHODS)
def test_two_methods_have_two_names(one: Method, other: Method) -> None:
    assert (one == other) == (method_name(one) == method_name(other))


@given(METHODS)
def test_a_name_without_remarks_means_the_method(method: Method) -> None:
    name = method_name(method)
    if "(" not in name:
        assert parse_method(name) == method
        assert parse_method(name.upper()) == method


@pytest.mark.parametrize("scheme", ["bp", "usf", "nusf", "rndf"])
def test_signs_flip_only_where_magnitudes_are_drawn(scheme: str) -> None:
    with pytest.raises(ValidationError, match=f"flip_probability belongs to brsf and frsf, not to {scheme}"):
        Feedback.model_validate({"scheme": scheme, "flip_probability": 0.25})


def test_sigma_belongs_to_rndf() -> None:
    assert Feedback(scheme="rndf", sigma=0.1).sigma == 0.1
    with pytest.raises(ValidationError, match=r"sigma belongs to rndf.*, not to usf"):
        Feedback(scheme="usf", sigma=0.1)


def test_a_probability_is_one() -> None:
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValidationError):
            Feedback(scheme="brsf", flip_probability=wrong)


def test_schemes_have_names_in_any_case() -> None:
    assert {find_scheme(scheme.name) for scheme in SCHEMES.values()} == set(SCHEMES)
    assert find_scheme("brSF-p") == "brsf"
    assert find_scheme("FRSF-P") == "frsf"
    hint = r'Did you mean "usf"\? If a plugin defines it, add --plugin FILE \(asymbp ls schemes\)'
    with pytest.raises(UsageError, match=rf'"usff" is not a scheme\. {hint}'):
        find_scheme("usff")
    with pytest.raises(UsageError, match="must be the name of a scheme"):
        find_scheme(["usf"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SGD,BM", "Write several as a list: [SGD, BM]"),
        ("SGD, uSF+BN", "Write several as a list: [SGD, uSF+BN]"),
        ("SGD; BM", "Write several as a list: [SGD, BM]"),
        ("SGD and BM", "Write several as a list: [SGD, BM]"),
        ("uSF + BN + BM", 'Did you mean "uSF+BN+BM"?'),
        ("uSF_BN", 'Did you mean "uSF+BN"?'),
        ("brSF-25+BN+BM", 'Did you mean "brSF-25%+BN+BM"?'),
        ("brSF-12", 'Did you mean "brSF-12%"?'),
        ("uSFF", 'Did you mean "uSF"?'),
    ],
)
def test_names_that_people_write_from_habit(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_method(name)
    assert message in str(caught.value)
