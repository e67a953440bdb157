"""Text for LaTeX: escaped, in ASCII."""

import re
import unicodedata
from collections.abc import Sequence
from functools import reduce

from asymbp_cli.report.text import split_code_spans

_SPECIAL = {
    "\\": r"$\backslash$",  # symbols come from the mathematical fonts, which fit every text font
    "{": r"$\{$",
    "}": r"$\}$",
    "%": r"\%",
    "$": r"$\mathdollar$",
    "#": r"\#",
    "&": r"\&",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"$\sim$",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': r"{\char34}",
    "`": r"{\char96}",
    "-": "-{}",  # so that two hyphens make no dash
    "[": "{[}",  # so that it is no option of the command before
    "*": "{*}",
    "\u200b": r"\allowbreak{}",
    "\t": " ",
    "\n": " ",
    "\r": " ",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{ALMOST EQUAL TO}": r"$\approx$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{RING OPERATOR}": r"$\circ$",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{DEGREE SIGN}": r"$^\circ$",
    "\N{BLACK UP-POINTING TRIANGLE}": r"$\blacktriangle$",
    "\N{BLACK DOWN-POINTING TRIANGLE}": r"$\blacktriangledown$",
    "\N{WHITE UP-POINTING TRIANGLE}": r"$\vartriangle$",
    "\N{WHITE DOWN-POINTING TRIANGLE}": r"$\triangledown$",
    "\N{SECTION SIGN}": r"\S{}",
    "\N{MICRO SIGN}": r"$\mu$",
    "\N{GREEK SMALL LETTER MU}": r"$\mu$",
    "\N{GREEK SMALL LETTER SIGMA}": r"$\sigma$",
    "\N{SUPERSCRIPT TWO}": r"$^2$",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT SINGLE QUOTATION MARK}": r"{\char96}",
    "\N{LEFT DOUBLE QUOTATION MARK}": r"{\char92}",
    "\N{RIGHT DOUBLE QUOTATION MARK}": r"{\char34}",
    "\N{LATIN SMALL LETTER SHARP S}": r"\ss{}",
    "\N{LATIN SMALL LETTER AE}": r"\ae{}",
    "\N{LATIN CAPITAL LETTER AE}": r"\AE{}",
    "\N{LATIN SMALL LIGATURE OE}": r"\oe{}",
    "\N{LATIN SMALL LETTER O WITH STROKE}": r"\o{}",
    "\N{LATIN CAPITAL LETTER O WITH STROKE}": r"\O{}",
    "\N{LATIN SMALL LETTER L WITH STROKE}": r"\l{}",
    "\N{LATIN CAPITAL LETTER L WITH STROKE}": r"\L{}",
    "\N{LATIN SMALL LETTER DOTLESS I}": r"\i{}",
}
_ACCENTS = {  # names of commands
    "\N{COMBINING GRAVE ACCENT}": "`",
    "\N{COMBINING ACUTE ACCENT}": "'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~",
    "\N{COMBINING DIAERESIS}": '"',
    "\N{COMBINING MACRON}": "=",
    "\N{COMBINING BREVE}": "u",
    "\N{COMBINING DOT ABOVE}": ".",
    "\N{COMBINING RING ABOVE}": "r",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": "H",
    "\N{COMBINING CARON}": "v",
    "\N{COMBINING CEDILLA}": "c",
    "\N{COMBINING DOT BELOW}": "d",
    "\N{COMBINING MACRON BELOW}": "b",
}
_DOTLESS = {"i": r"\i", "j": r"\j"}  # letters that lose their dot under an accent
_JOINERS = "\u200c\u200d"  # decide the form of letters
_LONG_WORD = re.compile(r"\S{12}(?=\S{8})")
_NAMED = re.compile(r"\\texttt\{\[(U\+[0-9A-F]{4,6}(?: U\+[0-9A-F]{4,6})*)\]\}")


def format_prose(text: str) -> str:
    """Return text with its code spans, which may break at punctuation because paths have no spaces."""
    return "".join(
        rf"\texttt{{{allow_breaks(escape(piece))}}}" if is_code else escape_words(piece)
        for piece, is_code in split_code_spans(text)
    )


def allow_breaks(code: str) -> str:
    """Return escaped code that may break after punctuation."""
    return re.sub(r"(/|\\_|=|(?<!U)\+)(?=\S)", r"\1\\allowbreak{}", code)


def escape_words(text: str) -> str:
    """Return escaped text whose longest words may break: a line is no longer than a page is wide."""
    return escape(_LONG_WORD.sub(lambda found: f"{found[0]}\u200b", text))


def escape(text: str) -> str:
    """Return plain text as ASCII that LaTeX sets as it is: accents are commands, unknown letters code points."""
    pieces: list[str] = []
    unknown: list[str] = []
    takes_accent = False
    for letter in unicodedata.normalize("NFC", text):
        if takes_accent and letter in _ACCENTS:
            pieces[-1] = _accent(letter, pieces[-1])
            continue
        plain = _plain(letter)
        if plain is None:
            unknown.append(letter)
        elif unknown and plain:
            pieces.append(_name(unknown))
            unknown = []
        if plain:
            pieces.append(plain)
        takes_accent = plain is not None and unicodedata.normalize("NFD", letter)[0].isalpha()
    return "".join([*pieces, *([_name(unknown)] if unknown else [])])


def _plain(letter: str) -> str | None:
    """Return a letter's ASCII form: nothing if it is invisible, None if there is none."""
    if letter in _SPECIAL:
        return _SPECIAL[letter]
    if unicodedata.category(letter) in ("Cc", "Cf") and letter not in _JOINERS:
        return ""
    parts = unicodedata.normalize("NFD", letter)
    base, marks = parts[0], parts[1:]
    if marks and base.isascii() and base.isalpha() and all(mark in _ACCENTS for mark in marks):
        return reduce(lambda inner, mark: _accent(mark, inner), marks, base)
    simple = unicodedata.normalize("NFKD", letter).replace("\N{FRACTION SLASH}", "/")
    return "".join(_SPECIAL.get(character, character) for character in simple) if simple.isascii() else None


def _accent(mark: str, base: str) -> str:
    return rf"\{_ACCENTS[mark]}{{{_DOTLESS.get(base, base)}}}"


def _name(letters: Sequence[str]) -> str:
    """Return letters that LaTeX has no sign for here, as their code points."""
    return rf"\texttt{{[{' '.join(f'U+{ord(letter):04X}' for letter in letters)}]}}"


def spell_out(text: str) -> str:
    """Return text with letters as code points that `escape` writes so: about as long as it is then."""
    return "".join(letter if _plain(letter) is not None else f" [U+{ord(letter):04X}]" for letter in text)


def find_unknown(latex: str) -> list[str]:
    """Return the letters that stand as code points in what `escape` returned, each once, in order."""
    codes = (code for span in _NAMED.findall(latex) for code in re.findall("[0-9A-F]{4,6}", span))
    return sorted({chr(int(code, 16)) for code in codes})
