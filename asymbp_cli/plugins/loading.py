"""Loading plugins: a file that a user names, an installed package's module, or the source that a job carries.

A plugin is code, and does what it likes with the rights of its user. So it comes from the command line, from what
the user has installed, or from the process that started this one; never from a recipe, a dataset or results.
"""

import linecache
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

from asymbp_cli.errors import AsymbpError, PluginError
from asymbp_cli.plugins.calls import describe_error
from asymbp_cli.plugins.registry import loading
from asymbp_cli.specs.references import REGISTERED, Plugin
from asymbp_cli.text import nearest_path, printable_path

_LARGEST = 1 << 20  # bytes; what is larger is no plugin
_NOTHING = "registers nothing. Decorate a function, for instance with @scheme (from asymbp_cli.plugins)"


#: path -> the plugin that this process has last loaded from there
_loaded: dict[Path, Plugin] = {}


def load_file(path: Path) -> Plugin:
    """Load the plugin in a file, and return it. Raises PluginError with the file and, if it has one, the line.

    A process keeps to the version that it loaded first: if the file has changed since, that is an error too.
    """
    label = printable_path(path)
    try:
        with path.open("rb") as file:
            source = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is no path"
        hint = nearest_path(path, lambda found: found.suffix == path.suffix and found.is_file())
        raise PluginError(f"{label}: {reason}.{hint} --plugin takes the path of a Python file") from None
    if len(source) > _LARGEST:
        raise PluginError(f"{label}: has more than {_LARGEST >> 20} MiB. --plugin takes the path of a Python file")
    plugin, place = Plugin(label, source), path.resolve()
    before = _loaded.get(place, plugin).sha256
    if before != plugin.sha256 and any(known.sha256 == before for known in REGISTERED.values()):
        raise PluginError(f"{label}: has changed since this process loaded it. Start a new process")
    load(plugin)
    _loaded[place] = plugin
    return plugin


def load_installed(entries: Iterable[EntryPoint]) -> None:
    """Load the plugins of installed packages: entry points of the group `asymbp.plugins`, each a module."""
    for entry in entries:
        file = _find_module(entry.value)
        if file is None or file.origin is None or not file.origin.endswith(".py"):
            package = entry.dist.name if entry.dist else "?"
            raise PluginError(f"{entry.value}: the installed package {package} names no Python module. Mend it")
        load(Plugin(file.origin, Path(file.origin).read_bytes(), entry.value))


def _find_module(name: str) -> ModuleSpec | None:
    """Find a module, without importing the packages around it."""
    spec, path = None, None
    for length in range(1, name.count(".") + 2):
        part = ".".join(name.split(".")[:length])
        found = (finder.find_spec(part, path) for finder in sys.meta_path)
        spec = next(filter(None, found), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec


def load(plugin: Plugin) -> None:
    """Load a plugin unless this process has it. Raises PluginError; then nothing of it is registered.

    A package may leave it to its modules to register something: each of them is a plugin.
    """
    if _is_loaded(plugin):
        return
    with loading(plugin):
        try:
            _execute(plugin)
        except AsymbpError:
            raise
        except SyntaxError as error:
            raise PluginError(
                f"{error.filename or plugin.label}:{error.lineno or 1}: is no valid Python: {error.msg}"
            ) from error
        except Exception as error:
            raise PluginError(f"{_find_line(plugin, error)}: {describe_error(error)}") from error
        except SystemExit:
            raise PluginError(f"{plugin.label}: ends the program. Remove sys.exit") from None
        if not _is_loaded(plugin):
            raise PluginError(f"{plugin.label}: {_NOTHING}")


def _is_loaded(plugin: Plugin) -> bool:
    """Return whether a plugin has registered something, or a module of the package that it is."""
    within = f"{plugin.module}." if plugin.module in sys.modules else None
    return any(
        known.sha256 == plugin.sha256 or (within is not None and known.module.startswith(within))
        for known in REGISTERED.values()
    )


def _execute(plugin: Plugin) -> None:
    """Run the source as a module: as the one that it is in a package, or as one of its own."""
    name, spec = plugin.module_name, _find_module(plugin.module) if plugin.module else None
    if spec is None:
        module = ModuleType(name)
        module.__file__ = plugin.label
    else:
        if spec.parent and spec.parent != name:
            import_module(spec.parent)
        if name in sys.modules:  # the package around it imports it, from its own file
            if spec.origin is None or Path(spec.origin).read_bytes() != plugin.source:
                raise PluginError(f"{spec.origin}: has changed since the command began. Run it again")
            return
        module = module_from_spec(spec)
    sys.modules[name] = module
    text = plugin.source.decode("utf-8", "replace")
    linecache.cache[plugin.label] = (len(text), None, text.splitlines(keepends=True), plugin.label)
    exec(compile(plugin.source, plugin.label, "exec", dont_inherit=True), module.__dict__)


def _find_line(plugin: Plugin, error: BaseException) -> str:
    """Return the file and the line of a plugin that an error came through last."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == plugin.label:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{plugin.label}:{line}" if line else plugin.label
