"""Completion in shells: the scripts that they read, and what `asymbp` answers when these call it.

click answers zsh and fish. bash splits words at `=` and `:`, and quotes nothing: here the whole line is read, and
the answer is what follows of bash's own word.
"""

import os
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from pathlib import Path

import click
from click.shell_completion import FishComplete, ShellComplete, ZshComplete, split_arg_string

from asymbp_cli.cli.names import Item
from asymbp_cli.text import printable

VARIABLE = "_ASYMBP_COMPLETE"
_END = "\x1f"  # of the line: the word at the cursor ends in it, even if it is empty or quoted

_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("$value") ;;
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORD="${COMP_WORDS[COMP_CWORD]}" \\
        %(complete_var)s=bash_complete "$1" 2> /dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[/=] ]] && compopt -o nospace
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _WholeWords(ShellComplete):
    """Completes the whole word, where click leaves out the `--table=` of `--table=2`."""

    def get_completions(self, args: list[str], incomplete: str) -> list[Item]:
        """Return the completions of a word."""
        option = re.match("-[^=]*=", incomplete)
        start = option[0] if option else ""
        return [
            Item(start + item.value, item.type, item.help, endings=item.endings)
            for item in super().get_completions(args, incomplete)
        ]


class _Bash(_WholeWords):
    name = "bash"
    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        *words, last = split_arg_string(os.environ["COMP_LINE"] + _END)
        return words[1:], last.removesuffix(_END)

    def get_completions(self, args: list[str], incomplete: str) -> list[Item]:
        written = os.environ.get("COMP_WORD", "")
        word = "" if written in ("=", ":") else "".join(split_arg_string(written))
        found = [one for item in super().get_completions(args, incomplete) for one in _expand(item)]
        return [_follow(item, len(incomplete) - len(word), written[:1] in ("'", '"')) for item in found]

    def format_completion(self, item: Item) -> str:
        return f"{item.type},{item.value}"


def _follow(item: Item, start: int, is_quoted: bool) -> Item:
    """Return the rest of a completion after bash's last break of words, quoted if it is not in quotes."""
    value = item.value[start:]
    return Item(value if is_quoted else re.sub(r"[^\w@%+=:,./~-]", r"\\\g<0>", value), item.type)


def _expand(item: Item) -> Iterator[Item]:
    """Yield the files of certain endings, and the directories, that an item stands for; any other as it is."""
    if item.endings is None:
        yield item
        return
    folder, slash, beginning = item.value.rpartition("/")
    with suppress(OSError):
        for path in sorted(Path(folder + slash).expanduser().iterdir()):
            is_hidden = path.name.startswith(".") and not beginning
            if path.name.startswith(beginning) and printable(path.name) and not is_hidden:
                if path.is_dir():
                    yield Item(f"{folder}{slash}{path.name}/")
                elif path.suffix in item.endings:
                    yield Item(f"{folder}{slash}{path.name}")


class _Zsh(_WholeWords, ZshComplete):
    """Adds no space after `KEY=`."""

    source_template = ZshComplete.source_template.replace(
        "compadd -U -V unsorted -a completions",
        "compadd -U -S '' -V open -- ${(M)completions:#*=}\n        compadd -U -V unsorted -- ${completions:#*=}",
    )


class _Fish(_WholeWords, FishComplete):
    pass


SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def write_script(cli: click.Command, shell: str) -> str:
    """Return the script that makes a shell complete the command."""
    return SHELLS[shell](cli, {}, "asymbp", VARIABLE).source()


def answer(cli: click.Command) -> None:
    """Print the completions that a shell asks for; nothing if anything fails."""
    shell, _, _ = os.environ[VARIABLE].partition("_")
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        redirect_stderr(nowhere),
        suppress(Exception, SystemExit),
    ):
        click.echo(SHELLS[shell](cli, {}, "asymbp", VARIABLE).complete().encode())
