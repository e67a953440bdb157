import pytest

from asymbp_cli.text import nearest, printable, printable_path


def test_the_nearest_word_is_suggested_in_its_own_case() -> None:
    assert nearest("mnsit", ["CIFAR", "MNIST"]) == ' Did you mean "MNIST"?'
    assert nearest("zebra", ["CIFAR", "MNIST"]) == ""


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31m", "\udc80"])
def test_what_is_not_printable_is_escaped(text: str) -> None:
    assert not printable(text)
    assert printable(printable_path(text))


def test_printable_text_stays_as_it_is() -> None:
    assert printable_path("Füße/猫.png") == "Füße/猫.png"
