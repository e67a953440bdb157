"""Which plugin is being loaded, and what it registers: entries in the tables that specs and training read."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from asymbp_cli.errors import PluginError
from asymbp_cli.plugins.calls import locate, unwrap
from asymbp_cli.specs.measures import MEASURES, list_on_request
from asymbp_cli.specs.methods import UPDATES
from asymbp_cli.specs.protocol import INITIALIZATIONS
from asymbp_cli.specs.references import KINDS, REGISTERED, Plugin, by_short_name, is_name, is_reference
from asymbp_cli.specs.schemes import SCHEMES, scheme_keys
from asymbp_cli.training import initialization
from asymbp_cli.training.feedback.schemes import BUILDERS
from asymbp_cli.training.measures import weights
from asymbp_cli.training.optim import RULES

#: every table that has a plugin's entries, by reference
_TABLES: tuple[dict[str, Any], ...] = (
    REGISTERED,
    KINDS,
    SCHEMES,
    BUILDERS,
    UPDATES,
    RULES,
    INITIALIZATIONS,
    initialization.OWN,
    MEASURES,
    weights.OWN,
)
_OF_METHODS: dict[str, Callable[[], Mapping[str, str]]] = {
    "a scheme": scheme_keys,
    "an update rule": lambda: by_short_name(UPDATES),
}
#: kind -> the names, by what users write, that another of the kind cannot have
_NAMES: dict[str, dict[str, Callable[[], Mapping[str, str]]]] = {
    "scheme": _OF_METHODS,
    "update": _OF_METHODS,
    "initialization": {"an initialization": lambda: by_short_name(INITIALIZATIONS)},
    "measure": {"a measure": lambda: by_short_name((*MEASURES, *list_on_request()))},
}
_KINDS = {kind: "an update rule" if kind == "update" else next(iter(names)) for kind, names in _NAMES.items()}
_RESERVED = ("bn", "bm", "mixed", "top", "bottom", "all")  # mean something else in the names of methods
_LONGEST = 40  # letters of a name
_loading: list[Plugin] = []


@contextmanager
def loading(plugin: Plugin) -> Iterator[None]:
    """Let what is registered meanwhile be `plugin`'s, or of a module of its package; if that fails, nothing is."""
    _loading.append(plugin)
    before = set(REGISTERED.values())
    try:
        yield
    except BaseException:
        for new in {plugin, *REGISTERED.values()} - before:
            forget(new)
        raise
    finally:
        _loading.pop()


def forget(plugin: Plugin) -> None:
    """Take back everything that a plugin has registered."""
    for reference in [reference for reference, owner in REGISTERED.items() if owner == plugin]:
        for table in _TABLES:
            table.pop(reference, None)
    sys.modules.pop(plugin.module_name, None)


def register(
    kind: str,
    name: str,
    function: Callable[..., Any],
    entries: Callable[[str], list[tuple[dict[str, Any], Any]]],
) -> None:
    """Register a function of the plugin that is being loaded under a name.

    `entries` returns, given the reference, which tables get what. Raises PluginError if the name is taken, or if
    another module registers the function than the one that defines it.
    """
    if not _loading:
        raise PluginError(
            f'"{name}" is registered by no plugin. Give its file to a command (asymbp train --plugin FILE), or to '
            "a call from Python (asymbp.train(..., plugins=FILE))"
        )
    plugin = _find_plugin(function)
    if not isinstance(name, str) or not is_name(name) or len(name) > _LONGEST or name.lower().endswith("-scaled"):
        raise refuse(f"{name!r} is no name. Use up to {_LONGEST} letters, digits, _ and -: w-noise")
    if owner := _find_owner(kind, name.lower()):
        raise refuse(f'"{name}" is {owner} already. Choose another name')
    reference = plugin.refer(name)
    for table, value in entries(reference):
        table[reference] = value
    REGISTERED[reference] = plugin
    KINDS[reference] = _KINDS[kind]


def _find_plugin(function: Callable[..., Any]) -> Plugin:
    """Return the plugin whose module defines a function and registers it; raises PluginError if these are two.

    The id of a run holds the source of this module alone. It is the plugin that is being loaded, or another module
    of its package, which is a plugin of its own.
    """
    plugin, module = _loading[-1], str(getattr(unwrap(function), "__module__", ""))
    frame = _find_frame()
    if frame is None or module != frame.f_globals.get("__name__"):
        raise refuse(
            f"{locate(function)} is defined outside {plugin.label}, and would be no part of a run's id. Define it "
            "there, or make its file a plugin too (--plugin FILE, or a module of an installed package)"
        )
    if module == plugin.module_name:
        return plugin
    file = frame.f_code.co_filename
    return Plugin(file, Path(file).read_bytes(), module)


def _find_frame() -> FrameType | None:
    """Return the innermost frame of the plugin that is being loaded, or of another module of its package."""
    plugin = _loading[-1]
    package = plugin.module.partition(".")[0]
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module == plugin.module_name or (package and module.partition(".")[0] == package):
            break
        frame = frame.f_back
    return frame


def _find_owner(kind: str, name: str) -> str:
    """Name the owner of a name: schemes and update rules share theirs, since both begin names of methods."""
    for what, names in _NAMES[kind].items():
        known = {other.lower(): reference for other, reference in names().items()}
        if name in known:
            reference = known[name]
            return f"{what} of {REGISTERED[reference].label if is_reference(reference) else 'asymbp'}"
    return "a part of the names of methods" if name in _RESERVED else ""


def check_signature(function: Callable[..., Any], first: tuple[str, ...], numbers: Mapping[str, object]) -> None:
    """Raise PluginError if a function does not take the arguments `first`, and `numbers` by name."""
    wanted = (*first, *numbers)
    try:
        inspect.signature(function).bind(*first, **numbers)
    except TypeError as error:
        call = f"{locate(function)} must take ({', '.join(wanted)})"
        raise PluginError(f"{call}: {error}") from None
    except ValueError:  # of functions in C, which tell nothing
        return


def refuse(problem: str) -> PluginError:
    """Return the error of what the plugin that is being loaded does in the line that is running."""
    frame = _find_frame()
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else _loading[-1].label
    return PluginError(f"{where}: {problem}")
