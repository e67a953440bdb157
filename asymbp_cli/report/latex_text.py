"""Text for LaTeX: escaped, in ASCII."""

import re
import unicodedata

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
_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": r"\`",
    "\N{COMBINING ACUTE ACCENT}": r"\'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": r"\^",
    "\N{COMBINING TILDE}": r"\~",
    "\N{COMBINING DIAERESIS}": r"\"",
    "\N{COMBINING MACRON}": r"\=",
    "\N{COMBINING BREVE}": r"\u",
    "\N{COMBINING DOT ABOVE}": r"\.",
    "\N{COMBINING RING ABOVE}": r"\r",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": r"\H",
    "\N{COMBINING CARON}": r"\v",
    "\N{COMBINING CEDILLA}": r"\c",
}
_DOTLESS = {"i": r"\i", "j": r"\j"}  # letters that lose their dot under an accent


def format_prose(text: str) -> str:
    """Return text with its code spans, which may break at punctuation because paths have no spaces."""
    return "".join(
        rf"\texttt{{{allow_breaks(escape(piece))}}}" if is_code else escape(piece)
        for piece, is_code in split_code_spans(text)
    )


def allow_breaks(code: str) -> str:
    """Return escaped code that may break after punctuation."""
    return re.sub(r"(/|\\_|=|\+)(?=\S)", r"\1\\allowbreak{}", code)


def escape(text: str) -> str:
    """Return plain text as ASCII that LaTeX sets as it is: accents become commands, unknown letters `?`."""
    pieces: list[str] = []
    for letter in unicodedata.normalize("NFD", text):
        if letter in _SPECIAL:
            pieces.append(_SPECIAL[letter])
        elif unicodedata.combining(letter):
            if letter in _ACCENTS and pieces and pieces[-1].isalpha():
                base = _DOTLESS.get(pieces[-1], pieces[-1])
                pieces[-1] = f"{_ACCENTS[letter]}{{{base}}}"
        else:
            pieces.append(_plain(letter))
    return "".join(pieces)


def _plain(letter: str) -> str:
    """Return a letter's ASCII form, nothing if it is invisible, or `?`."""
    if unicodedata.category(letter) in ("Cc", "Cf"):
        return ""
    simple = unicodedata.normalize("NFKD", letter).replace("\N{FRACTION SLASH}", "/")
    return "".join(_SPECIAL.get(character, character) for character in simple) if simple.isascii() else "?"
