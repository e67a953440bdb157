"""Letters that look like others, or cannot be seen: copied text has them, and YAML takes them for text."""

import re
import unicodedata

from asymbp_cli.text import printable

#: a plain letter -> those that look like it; the rest is known to NFKC
_ALIKE = {
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
    "'": "\u2018\u2019\u201a\u201b\u2032",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022",
    "x": "\u00d7",
    "*": "\u2217",
    ",": "\u3001",
    ".": "\u3002",
}
_MEANT = (
    {ord(letter): ord(plain) for plain, letters in _ALIKE.items() for letter in letters}
    | str.maketrans("АВЕЅІЈКМНОРСТХаеѕіјорсух", "ABESIJKMHOPCTXaesijopcyx")  # noqa: RUF001
    | str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo")  # noqa: RUF001
)
_SPELLINGS = {"no-break": "non-breaking", "fullwidth": "full-width", "zero width": "zero-width"}
#: what PyYAML refuses, and what it takes for the end of a line although editors do not
_CONTROL = re.compile("[^\t\n -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_CODE = re.compile(r"""(?:^|(?<=[\s:,\[{-]))(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')|(?:^|(?<=\s))#.*""")
_SPACE = r"[\s\u200b-\u200f\u2060\ufeff]"
#: indentation, dashes of a list, a key with its colon, and the space after it
_START = re.compile(
    rf"{_SPACE}*(?:[-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d\u2022]{_SPACE}+)*"
    rf"(?:[^\s:\uff1a#,\[\]{{}}][^:\uff1a#,\[\]{{}}]{{0,60}}?{_SPACE}*(?::(?={_SPACE}|$)|\uff1a){_SPACE}*)?"
)
_PLAIN_START = re.compile(r"""[ ]*(?:-[ ]+)*(?:["']?[A-Za-z_<][\w <-]*["']?[ ]*:[ ]*)?""", re.ASCII)


def mend(text: str) -> tuple[str, list[tuple[int, str]]]:
    """Return text with plain letters in keys, colons and indentation, and what was wrong there, with its line.

    Values stay as they are: `describe_odd_letter` tells of them if something else is wrong with them.
    """
    if text.isascii() and "\t" not in text and not _CONTROL.search(text):
        return text, []
    problems: list[tuple[int, str]] = []
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        mended, found = _mend_line(line)
        lines.append(mended)
        problems += [(number, problem) for problem in found]
    return "\n".join(lines), problems


def _mend_line(line: str) -> tuple[str, list[str]]:
    """Return a line with plain letters, and what was wrong with it."""
    code = _NOT_CODE.sub(lambda found: ("#" if found[0][0] == "#" else "_") * len(found[0]), line)
    start = _START.match(code)
    end = start.end() if start else 0
    indent = len(line) - len(line.lstrip())
    is_blank = code[indent : indent + 1] in ("", "#")
    letters: list[str] = []
    problems: dict[str, str] = {}  # of each letter the first place
    for place, letter in enumerate(line):
        is_code = code[place] == letter
        mended = _mend_letter(letter, is_code=is_code, in_start=is_code and place < end)
        if mended != letter and code[place] != "#" and not is_blank and (letter != "\t" or place < indent):
            problems.setdefault(letter, f"has {_name(letter)} in column {place + 1}. {_advise(letter)}")
        letters.append(mended)
    if not _PLAIN_START.fullmatch("".join(letters[:end])) and not _CONTROL.search(line):
        return line, []  # other text, in a script of its own
    return "".join(letters), list(problems.values())


def _mend_letter(letter: str, *, is_code: bool, in_start: bool) -> str:
    """Return the kind of a letter in a line: in code or not, up to the colon or behind it."""
    if letter == "\t":
        return " " if is_code else letter
    if _CONTROL.match(letter):
        return " " if letter.isspace() else ""
    meant = _meant(letter) if in_start else None
    return letter if meant is None else f"{meant} " if letter == "\uff1a" else meant


def _meant(letter: str) -> str | None:
    """Return the plain letter that a letter looks like, nothing if it cannot be seen; None if it is itself."""
    if letter.isascii():
        return letter if letter.isprintable() else ""
    if (code := _MEANT.get(ord(letter))) is not None:
        return chr(code)
    category = unicodedata.category(letter)
    if category in ("Cf", "Cc", "Zl", "Zp", "Zs"):
        return " " if category[0] == "Z" else ""
    plain = unicodedata.normalize("NFKC", letter)
    return plain if plain.isascii() else None


def describe_odd_letter(text: str) -> str:
    """Return which letter in plain text only looks plain, and what to do; empty if none does."""
    if text.isascii() and text.isprintable():
        return ""
    if None in map(_meant, text) or not printable(text):  # what is not printable is an escape, and refused anyway
        return ""
    place, letter = next((place, letter) for place, letter in enumerate(text) if _meant(letter) != letter)
    return f"has {_name(letter)} as letter {place + 1}. {_advise(letter)}"


def _name(letter: str) -> str:
    """Return the name of a letter, and its number."""
    name = unicodedata.name(letter, "tab" if letter == "\t" else "control character").lower()
    for word, spelling in _SPELLINGS.items():
        name = name.replace(word, spelling)
    article = "an" if name[0] in "aeiou" else "a"
    return f"{article} {name} (U+{ord(letter):04X})"


def _advise(letter: str) -> str:
    meant = _meant(letter)
    if letter == "\t" or meant == " ":
        return "Type plain spaces"
    return f"Type {meant}" if meant else "Delete it"
