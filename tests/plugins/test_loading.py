"""What is wrong with a plugin is said with its file and line, and nothing of it stays."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from plugin_examples import NOISE, Load

from asymbp_cli.api.load_plugins import load_plugins
from asymbp_cli.errors import PluginError
from asymbp_cli.plugins import initialization, loading
from asymbp_cli.plugins.loading import load_file, load_installed
from asymbp_cli.specs.methods import UPDATES
from asymbp_cli.specs.references import REGISTERED, Plugin, short_name
from asymbp_cli.specs.schemes import SCHEMES
from asymbp_cli.training.feedback.schemes import BUILDERS

HEAD = "from asymbp_cli.plugins import Number, scheme, update_rule\n"
SCHEME = '@scheme("a", formula="W")\ndef f(W, draw):\n    return W\n'
RULE = "def f(w, g, state, rate, momentum, decay):\n    return w, state\n"


def test_what_it_registers_is_in_every_table_until_it_is_forgotten(load: Load) -> None:
    plugin = load(NOISE)
    assert plugin.sha256 == Plugin("other.py", NOISE.encode()).sha256
    (reference,) = REGISTERED
    assert reference == f"wNoise@{plugin.sha256[:16]}"
    assert SCHEMES[reference].name == "wNoise"
    assert reference in BUILDERS
    assert load(NOISE, "copy.py").sha256 == plugin.sha256  # the same bytes: nothing is new
    assert list(REGISTERED) == [reference]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (\n", r"mine.py:1: is no valid Python: '\(' was never closed"),
        ("def f():\n    raise KeyError(3)\n\nf()\n", "mine.py:2: KeyError: 3"),
        ("import no_such_module\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("import sys\nsys.exit(3)\n", "mine.py: ends the program"),
        ("x = 1\n", "mine.py: registers nothing"),
        ("", "mine.py: registers nothing"),
        ("# coding: no-such\n", "mine.py:[01]: is no valid Python: "),
        ("x = 1\0\n", "mine.py(:1)?: .*null bytes"),
        (HEAD + '@scheme("uSF", formula="W")\ndef f(W, draw): ...\n', 'mine.py:2: "uSF" is a scheme of asymbp'),
        (HEAD + '@update_rule("BM")\n' + RULE, 'mine.py:2: "BM" is a part of the names of methods already'),
        (
            HEAD + '@update_rule("many", states=9)\n' + RULE,
            "mine.py:2: an update rule keeps 1 to 8 states of each",
        ),
        (HEAD + '@update_rule("adam")\n' + RULE, 'mine.py:2: "adam" is an update rule of asymbp already'),
        (HEAD + '@update_rule("bm1")\n' + RULE, 'mine.py:2: "bm1" is an update rule of asymbp already'),
        (HEAD + '@update_rule("frsf")\n' + RULE, 'mine.py:2: "frsf" is a scheme of asymbp already'),
        (
            HEAD + "from asymbp_cli.plugins import measure\n" + '@measure("Angle", title="x")\ndef f(W, V): ...\n',
            'mine.py:3: "Angle" is a measure of asymbp already',
        ),
        (HEAD + SCHEME + SCHEME.replace('"a"', '"A"'), 'mine.py:5: "A" is a scheme of mine.py already'),
        (HEAD + SCHEME.replace('"a"', '"a b"'), "mine.py:2: 'a b' is no name"),
        (HEAD + SCHEME.replace('"a"', '"a@b"'), "mine.py:2: 'a@b' is no name"),
        (HEAD + SCHEME.replace('"a"', "3"), "mine.py:2: 3 is no name"),
        (HEAD + SCHEME.replace("W, draw", "W"), r"mine.py:2: f must take \(W, draw\)"),
        (
            HEAD + SCHEME.replace('"W"', '"W", numbers={"s": Number(1.0)}'),
            r"mine.py:2: f must take \(W, draw, s\): got an unexpected keyword argument 's'",
        ),
        (
            HEAD + SCHEME.replace('"W"', '"W", numbers={"s": Number(1.0, most=0.5)}').replace("draw", "draw, s"),
            "mine.py:2: the default of s must be at most 0.5",
        ),
        (
            HEAD + SCHEME.replace('"W"', '"W", numbers={"sigma": Number(1.0)}').replace("draw", "draw, sigma"),
            'mine.py:2: "sigma" is a parameter of asymbp',
        ),
        (
            "from asymbp_cli.plugins import *\ndef f(feedback, site): ...\n"
            'register_scheme(Scheme("a", "W", "-", "x", learned="mirror"), f)\n',
            "mine.py:3: V cannot have learned='mirror'. Write learned=\"gradient\"",
        ),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_explained(text: str, message: str, load: Load) -> None:
    modules, known = set(sys.modules), (dict(SCHEMES), dict(UPDATES))
    with pytest.raises(PluginError, match=f"^{message}") as caught:
        load(text)
    assert "\n" not in str(caught.value)
    assert not REGISTERED
    assert known == (SCHEMES, UPDATES)
    assert not [name for name in set(sys.modules) - modules if name.startswith("asymbp_plugin")]


def test_two_plugins_cannot_share_a_name(load: Load) -> None:
    load(HEAD + SCHEME, "first.py")
    with pytest.raises(PluginError, match=r'^second\.py:3: "a" is a scheme of first\.py already'):
        load(HEAD + "\n" + SCHEME, "second.py")
    assert {plugin.label for plugin in REGISTERED.values()} == {"first.py"}


def test_a_file_that_has_changed_needs_a_new_process(load: Load) -> None:
    load(HEAD + SCHEME)
    for text in (HEAD + SCHEME + "# changed\n", HEAD + SCHEME.replace('"a"', '"b"')):
        with pytest.raises(PluginError, match=r"^mine\.py: has changed since this process loaded it\. Start a"):
            load(text)
    load(HEAD + SCHEME)  # back
    Path("folder").mkdir()
    load(HEAD + SCHEME.replace('"a"', '"b"'), "folder/mine.py")
    assert names() == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none.py", "No such file or directory"), (".", "Is a directory"), ("a\0b", "is no path"), ("big", "MiB")],
)
def test_a_path_that_is_no_plugin_is_explained(name: str, reason: str, load: Load) -> None:
    Path("big").write_bytes(b"#" * (loading._LARGEST + 1))
    with pytest.raises(PluginError, match=f"{reason}.*--plugin takes the path of a Python file"):
        load_file(Path(name))


@pytest.mark.parametrize(
    "text",
    [
        "import helper_of_mine\n",  # registers by itself
        'from helper_of_mine import f\nscheme("b", formula="W")(f)\n',
        'from helper_of_mine import f\nfrom functools import partial\nscheme("b", formula="W")(partial(f))\n',
        "from helper_of_mine import keep\n@keep\n" + SCHEME,
    ],
)
def test_a_function_of_another_file_is_refused(
    text: str, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its source would be no part of the ids of runs."""
    monkeypatch.syspath_prepend(str(tmp_path))
    own = SCHEME if text.startswith("import") else SCHEME.split("\n", 1)[1]
    Path("helper_of_mine.py").write_text(f"{HEAD}{own}def keep(f):\n    return lambda W, draw: f(W, draw)\n")
    text = text.replace("@keep\n" + SCHEME, SCHEME.replace("\n", "\n@keep\n", 1))
    try:
        with pytest.raises(PluginError, match=r"^mine\.py:[0-9]: /.*/helper_of_mine\.py:[0-9]: .* outside mine"):
            load(HEAD + text)
    finally:
        sys.modules.pop("helper_of_mine", None)
    assert not REGISTERED


def test_decorators_of_others_are_allowed(load: Load) -> None:
    load(HEAD + "import torch\n" + SCHEME.replace("\n", "\n@torch.no_grad()\n", 1))
    assert names() == ["a"]
    with pytest.raises(PluginError, match=r"^no\.py:3: f must take"):  # not the line of the decorator's file
        load("import torch\n" + HEAD + '@scheme("c", formula="W")\n@torch.no_grad()\ndef f(): ...\n', "no.py")


def test_registering_without_loading_is_refused() -> None:
    with pytest.raises(PluginError, match="registered by no plugin"):
        initialization("x")(lambda shape, fan_in, fan_out, generator: None)  # type: ignore[arg-type, return-value]


@dataclass(frozen=True)
class Package:
    """An installed package: its folder, and the metadata that name its plugins, as pip writes them."""

    folder: Path
    facts: Path

    def write(self, **modules: str) -> None:
        for name, text in modules.items():
            (self.folder / f"{name}.py").write_text(text)

    def offer(self, **plugins: str) -> None:
        lines = (f"{name} = {module}\n" for name, module in plugins.items())
        (self.facts / "entry_points.txt").write_text(f"[asymbp.plugins]\n{''.join(lines)}")


@pytest.fixture
def package(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """The package `of_a_lab`, whose modules are out of this process afterwards."""
    made = Package(tmp_path / "site/of_a_lab", tmp_path / "site/of_a_lab-1.dist-info")
    made.folder.mkdir(parents=True)
    made.facts.mkdir()
    (made.facts / "METADATA").write_text("Metadata-Version: 2.1\nName: of-a-lab\nVersion: 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield made
    for name in [name for name in sys.modules if name.partition(".")[0] == "of_a_lab"]:
        sys.modules.pop(name)


def names() -> list[str]:
    return [short_name(reference) for reference in REGISTERED]


def test_an_installed_package_is_a_plugin(package: Package) -> None:
    """Its module may import its neighbours."""
    package.write(__init__="from . import schemes\n", sizes="S = 0.5\n")
    package.write(schemes=NOISE.replace("0.05", "S").replace("\n\n", "\nfrom .sizes import S\n", 1))
    package.offer(noise="of_a_lab.schemes")
    load_plugins()
    load_plugins()
    ((reference, plugin),) = REGISTERED.items()
    assert SCHEMES[reference].numbers["s"].default == 0.5
    assert plugin.source == (package.folder / "schemes.py").read_bytes()
    package.write(other=HEAD + SCHEME)
    package.offer(other="of_a_lab.other")
    load_plugins()
    assert names() == ["wNoise", "a"]
    package.offer(noise="of_a_lab.nothing")
    with pytest.raises(PluginError, match=r"of_a_lab\.nothing: the installed package of-a-lab names no"):
        load_plugins()
    load_installed([])


@pytest.mark.parametrize(
    "offered",
    [["of_a_lab"], ["of_a_lab.first"], ["of_a_lab.first", "of_a_lab.second"], ["of_a_lab.second", "of_a_lab"]],
    ids=" ".join,
)
def test_a_package_may_import_several_plugins(package: Package, offered: list[str]) -> None:
    """Each is one of its own, with its own source, whatever the package offers."""
    package.write(__init__="from . import first, second\n", first=HEAD + SCHEME)
    package.write(second=HEAD + "from .first import f\n" + SCHEME.replace('"a"', '"b"'))
    package.offer(**{f"p{number}": module for number, module in enumerate(offered)})
    load_plugins()
    load_plugins()
    assert {short_name(reference): plugin.module for reference, plugin in REGISTERED.items()} == {
        "a": "of_a_lab.first",
        "b": "of_a_lab.second",
    }
    for plugin in REGISTERED.values():
        file = package.folder / f"{plugin.module.rpartition('.')[2]}.py"
        assert (plugin.source, plugin.label) == (file.read_bytes(), str(file))
        loading.load(plugin)  # as a worker does, for each that its runs use
    assert len(REGISTERED) == 2


def test_a_package_may_register_in_its_first_file_too(package: Package) -> None:
    package.write(__init__="from . import first\n" + HEAD + SCHEME.replace('"a"', '"b"'), first=HEAD + SCHEME)
    for offered in ("of_a_lab.first", "of_a_lab"):
        package.offer(mine=offered)
        load_plugins()
        assert [plugin.module for plugin in REGISTERED.values()] == ["of_a_lab.first", "of_a_lab"]


@pytest.mark.parametrize(
    ("offered", "package_text", "message"),
    [
        (
            "both",
            "",
            r"both\.py:3: .*first\.py:2: f is defined outside .*both\.py.* a module of an installed",
        ),
        ("first", "from . import first, taken\n", r'taken\.py:2: "uSF" is a scheme of asymbp already'),
        ("idle", "", r"idle\.py: registers nothing"),
    ],
)
def test_what_is_wrong_in_a_package_is_explained_and_nothing_of_it_stays(
    offered: str, package_text: str, message: str, package: Package
) -> None:
    package.write(__init__=package_text, first=HEAD + SCHEME, taken=HEAD + SCHEME.replace('"a"', '"uSF"'))
    package.write(both="from .first import f\n" + HEAD + 'scheme("b", formula="W")(f)\n')
    package.write(idle="from . import first\n")
    package.offer(mine=f"of_a_lab.{offered}")
    with pytest.raises(PluginError, match=message):
        load_plugins()
    assert not REGISTERED
    assert "of_a_lab.first" not in sys.modules
