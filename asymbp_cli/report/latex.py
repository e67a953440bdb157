"""Documents as LaTeX for pdflatex: every table in its own environment, so that it can be copied into a paper.

Figures are skipped, but for a comment with their caption: their files are the figures' own.
"""

import re
import unicodedata

from asymbp_cli.analysis.tables import Cell, Colour
from asymbp_cli.report.parts import Document, Figure, Listing, code_spans
from asymbp_cli.report.sheet import Sheet, colours, digits_and_marks, is_best, most_marks, spread

_PREAMBLE = r"""\documentclass{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage{amssymb}  % \blacktriangle
\usepackage{graphicx}  % \rotatebox, \resizebox
\usepackage{booktabs,longtable,float}
\usepackage[table]{xcolor}
\usepackage[font=small,labelfont=bf,skip=5pt]{caption}
\renewcommand{\labelitemi}{$\bullet$}  % the text bullet is a bitmap without extra fonts
"""
_COLOURS = {"worse": ("F6DF8F", "FAEEC4"), "better": ("BCD9F4", "DDEBF9")}  # ours, the paper's
_SIGNS = {"worse": r"\blacktriangle", "better": r"\blacktriangledown"}
_MANY_COLUMNS = 7  # more of them have upright headers
_LINE = 95  # characters that fit into a line of \footnotesize, about
_LONGEST_WORD = 15
_LONGEST_LABEL = 28


def render(document: Document) -> str:
    """Return the document, in ASCII; letters that LaTeX cannot set here become `?`."""
    body = [_part(part, i) for i, part in enumerate(document.parts, start=1)]
    head = [rf"\section*{{{prose(document.title)}}}", prose(document.introduction)]
    return "\n\n".join([_PREAMBLE + r"\begin{document}", *head, *body, r"\end{document}"]) + "\n"


def _part(part: Sheet | Listing | Figure, index: int) -> str:
    match part:
        case Sheet():
            return _sheet(part, index)
        case Listing():
            return _listing(part, index)
        case Figure():
            return f"% Figure {escape(part.name)}, not in LaTeX: {escape(part.caption)}"


def _sheet(sheet: Sheet, index: int) -> str:
    """Return a sheet: ours over the paper's, no wider than the page."""
    wide = len(sheet.header) > _MANY_COLUMNS
    gutter = most_marks(sheet)
    long = any(len(label) > _LONGEST_LABEL for label, _ in sheet.rows)
    labels = r">{\raggedright\arraybackslash}p{4cm}" if long else "l"
    header = [rf"\rotatebox{{90}}{{{escape(text)}}}" if wide else escape(text) for text in sheet.header]
    header = [text + _marks("", gutter) for text in header]
    lines: list[str] = []
    for label, cells in sheet.rows:
        lines += [r"\addlinespace[2pt]"] if lines else []
        lines.append(_row([escape(label), *(_own(cell, is_best(cell, cells), gutter) for cell in cells)]))
        if any(spread(cell) for cell in cells):
            lines.append(_row(["", *(_spread(cell) for cell in cells)]))
        if any(cell.paper is not None for cell in cells):
            lines.append(_row([r"\textit{the paper}", *(_paper(cell, gutter) for cell in cells)]))
    return "\n".join(
        [
            r"\begin{table}[H]",
            r"\centering\footnotesize",
            rf"\setlength{{\tabcolsep}}{{{2.5 if wide else 5}pt}}",
            rf"\caption{{{_caption(sheet.title)}}}",
            _label(sheet.title, index),
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{labels}{'r' * len(sheet.header)}}}",
            r"\toprule",
            _row(["", *header]),
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            *_notes((*_key(sheet), *map(prose, sheet.notes))),
            r"\end{table}",
        ]
    )


def _own(cell: Cell, best: bool, gutter: int) -> str:
    digits, marks = digits_and_marks(cell)
    return _coloured(cell.colour, 0, (rf"\textbf{{{digits}}}" if best else digits) + _marks(marks, gutter))


def _marks(marks: str, gutter: int) -> str:
    """Return marks in a space that is as wide in every cell of the table, so that digits stay aligned."""
    if not gutter:
        return ""
    shown = rf"\textsuperscript{{{escape(marks)}}}" if marks else ""
    return rf"\makebox[{4.5 * gutter:g}pt][l]{{{shown}}}"


def _spread(cell: Cell) -> str:
    return _coloured(cell.colour, 0, rf"\tiny {spread(cell)}", sign="") if spread(cell) else ""


def _paper(cell: Cell, gutter: int) -> str:
    text = "-" if cell.paper is None else rf"\textit{{{cell.paper:.2f}}}"
    return _coloured(cell.paper_colour, 1, text + _marks("", gutter))


def _coloured(colour: Colour | None, shade: int, text: str, sign: str | None = None) -> str:
    """Return text on its colour, with a sign for those who do not see the colour."""
    if colour is None:
        return text
    mark = rf"{{\tiny${_SIGNS[colour]}$}}\," if sign is None else sign
    return rf"\cellcolor[HTML]{{{_COLOURS[colour][shade]}}}{mark}{text}"


def _key(sheet: Sheet) -> list[str]:
    """Return what the table's typography means."""
    found = colours(sheet)
    signs = [rf"{{\tiny${_SIGNS[c]}$}} {c} than the baseline" for c in ("worse", "better") if c in found]
    lines = "Upper: ours; lower, in italics: the paper's. " if sheet.has_paper else ""
    by = f"; {', '.join(signs)} by 3 points or more" if signs else ""
    return [f"{lines}Bold: best of its row{by}."]


def _listing(listing: Listing, index: int) -> str:
    """Return a listing, which may break over pages, with columns as wide as their texts ask for."""
    numeric = listing.numeric or (False,) * len(listing.header)
    shape = "".join(
        rf">{{\ragged{'left' if is_number else 'right'}\arraybackslash}}"
        rf"p{{\dimexpr {width:.4f}\linewidth-2\tabcolsep\relax}}"
        for width, is_number in zip(_widths(listing, numeric), numeric, strict=True)
    )
    head = [r"\toprule", _row([_breakable(prose(text)) for text in listing.header]), r"\midrule"]
    return "\n".join(
        [
            r"\begingroup\footnotesize",
            rf"\setlength{{\tabcolsep}}{{{2 if len(listing.header) > _MANY_COLUMNS else 4}pt}}",
            rf"\begin{{longtable}}{{{shape}}}",
            rf"\caption{{{_caption(listing.title)}}}",
            _label(listing.title, index) + r"\\",
            *head,
            r"\endfirsthead",
            *head,
            r"\endhead",
            r"\bottomrule",
            r"\endfoot",
            *(_row([prose(text) for text in row]) for row in listing.rows),
            r"\end{longtable}",
            *_notes([prose(note) for note in listing.notes]),
            r"\endgroup",
        ]
    )


def _widths(listing: Listing, numeric: tuple[bool, ...]) -> list[float]:
    """Return the columns' shares of the line: room for numbers and longest words, then for texts."""
    columns = list(zip(listing.header, *listing.rows, strict=True))
    needed = [
        2 + max(_longest_word(head), *(len(text) if is_number else _longest_word(text) for text in texts))
        for (head, *texts), is_number in zip(columns, numeric, strict=True)
    ]
    wished = [
        least if is_number else max(least, min(2 + max(map(len, texts)), _LINE // 2))
        for least, texts, is_number in zip(needed, columns, numeric, strict=True)
    ]
    extra = sum(wished) - sum(needed)
    share = min(1.0, max(0, _LINE - sum(needed)) / extra) if extra else 0.0
    widths = [least + share * (wish - least) for least, wish in zip(needed, wished, strict=True)]
    return [width / max(sum(widths), _LINE) for width in widths]


def _longest_word(text: str) -> int:
    return max(min(len(word) + 1, _LONGEST_WORD) for word in re.split(r"[\s/_=+-]", text))


def _row(texts: list[str]) -> str:
    return " & ".join(texts) + r" \\"


def _notes(lines: tuple[str, ...] | list[str]) -> list[str]:
    if not lines:
        return []
    start = r"\begin{itemize}\setlength{\itemsep}{0pt}\setlength{\parskip}{0pt}"
    return [start, *(rf"\item {line}" for line in lines), r"\end{itemize}"]


def _caption(title: str) -> str:
    return ("Reproduction of " if title.startswith("Table ") else "") + prose(title)


def _label(title: str, index: int) -> str:
    words = re.findall("[a-z0-9]+", title.lower())
    return rf"\label{{tab:{'-'.join([str(index), *words[:4]])}}}"


_SPECIAL = {
    "\\": r"$\backslash$",  # symbols come from the mathematical fonts, which every text font goes with
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
    "-": "-{}",  # no dash out of two hyphens
    "[": "{[}",  # no option of the command before
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


def prose(text: str) -> str:
    """Return text with its code spans, which may break at punctuation, since paths have no spaces."""
    return "".join(
        rf"\texttt{{{_breakable(escape(piece))}}}" if is_code else escape(piece)
        for piece, is_code in code_spans(text)
    )


def _breakable(code: str) -> str:
    return re.sub(r"(/|\\_|=|\+)(?=\S)", r"\1\\allowbreak{}", code)


def escape(text: str) -> str:
    """Return plain text as ASCII that LaTeX sets as it stands: accents as commands, unknown letters as `?`."""
    found: list[str] = []
    for letter in unicodedata.normalize("NFD", text):
        if letter in _SPECIAL:
            found.append(_SPECIAL[letter])
        elif unicodedata.combining(letter):
            if letter in _ACCENTS and found and found[-1].isalpha():
                base = {"i": r"\i", "j": r"\j"}.get(found[-1], found[-1])
                found[-1] = f"{_ACCENTS[letter]}{{{base}}}"
        else:
            found.append(_plain(letter))
    return "".join(found)


def _plain(letter: str) -> str:
    """Return a letter's ASCII form, nothing for what cannot be seen, or `?`."""
    if unicodedata.category(letter) in ("Cc", "Cf"):
        return ""
    simple = unicodedata.normalize("NFKD", letter).replace("\N{FRACTION SLASH}", "/")
    return "".join(_SPECIAL.get(one, one) for one in simple) if simple.isascii() else "?"
