"""Documents as LaTeX for pdflatex: every table in its own environment, so that it can be copied into a paper.

Figures are PDF files next to it. Letters that LaTeX cannot set stand as code points, and a comment says which.
"""

import re
from collections.abc import Iterator, Sequence
from math import floor

from asymbp_cli.analysis.cells import Cell, Colour
from asymbp_cli.report.cells import format_range, has_paper, is_best, list_details, split_marks
from asymbp_cli.report.document import Block, Code, Document, Figure, Listing
from asymbp_cli.report.latex_text import allow_breaks, escape, escape_words, find_unknown, format_prose, spell_out
from asymbp_cli.report.result_table import ResultTable
from asymbp_cli.report.source import Rendered, Source
from asymbp_cli.text import escape_controls, list_some

_PREAMBLE = r"""\documentclass{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage{amssymb}  % \blacktriangle
\usepackage{graphicx}  % \rotatebox, \resizebox
\usepackage{booktabs,longtable,float}
\usepackage[table]{xcolor}
\usepackage[font=small,labelfont=bf,skip=5pt]{caption}
\renewcommand{\labelitemi}{$\bullet$}  % the text bullet is a bitmap without extra fonts
"""
_NEEDS = r"""% For \input. Your preamble needs:
% \usepackage{amssymb,graphicx,booktabs,longtable,float}
% \usepackage[table]{xcolor}
% Figures are found next to your main file; elsewhere with \graphicspath."""
_COLOURS = {"worse": ("F6DF8F", "FAEEC4"), "better": ("BCD9F4", "DDEBF9")}  # ours, the paper's
_SIGNS = {"worse": r"\blacktriangle", "better": r"\blacktriangledown"}
_HOLLOW_SIGNS = {"worse": r"\vartriangle", "better": r"\triangledown"}
_MANY_COLUMNS = 7  # more of them have upright headers
_LINE = 95  # characters that fit into a line of \footnotesize, about
_LONGEST_WORD = 15
_LONGEST_LABEL = 28
_LONGEST_HEADER, _LONGEST_UPRIGHT = 20, 40


def render_report(source: Source) -> Rendered:
    """Return the report, with its figures in the source's folder, or without figures if it has none."""
    folder = source.figure_folder
    figures = source.draw_figures() if folder else ()
    text = render(source.assemble(figures), folder, fragment=source.fragment)
    files = {f"{folder}/{figure.name}.pdf": figure.pdf for figure in figures}
    return Rendered(text, files, tuple(_remark(find_unknown(text))))


def render(document: Document, figure_folder: str | None = None, *, fragment: bool = False) -> str:
    """Return the document, in ASCII but for comments; a fragment is what stands between begin and end of one."""
    body = "\n\n".join(_block(block, i, figure_folder) for i, block in enumerate(document.blocks, start=1))
    comments = [f"% U+{ord(letter):04X} is {escape_controls(letter)}" for letter in find_unknown(body)]
    if fragment:
        return "\n".join([_NEEDS, *comments, "", body]) + "\n"
    summary = _notes([format_prose(line) for line in document.summary])
    head = [rf"\section*{{{format_prose(document.title)}}}", *summary, format_prose(document.introduction)]
    start = "\n".join([_PREAMBLE + r"\begin{document}", *comments])
    return "\n\n".join([start, *head, body, r"\end{document}"]) + "\n"


def _remark(unknown: Sequence[str]) -> Iterator[str]:
    if unknown:
        yield (
            f"LaTeX cannot set {list_some(unknown, most=10)}: code points (U+{ord(unknown[0]):04X}) stand for "
            "them, and comments in the file say which. html and markdown have the letters"
        )


def _block(block: Block, index: int, figure_folder: str | None) -> str:
    match block:
        case ResultTable():
            return _result_table(block, index)
        case Listing():
            return _listing(block, index)
        case Figure():
            return _figure(block, figure_folder)
        case Code():
            title = format_prose(block.title)
            return f"\\paragraph{{{title}}}\n\\begin{{verbatim}}\n{block.text}\n\\end{{verbatim}}"


def _figure(figure: Figure, folder: str | None) -> str:
    if folder is None:
        return f"% Figure {escape(figure.name)}, which is no file here: {escape(figure.caption)}"
    return "\n".join(
        [
            r"\begin{figure}[H]",
            r"\centering",
            rf"\includegraphics[width=\linewidth]{{{folder}/{figure.name}.pdf}}",
            rf"\caption{{{format_prose(figure.caption)}}}",
            rf"\label{{fig:{figure.name}}}",
            r"\end{figure}",
        ]
    )


def _result_table(table: ResultTable, index: int) -> str:
    """Return a table of results: ours above the paper's, no wider than the page."""
    wide = len(table.header) > _MANY_COLUMNS
    long = any(len(escape(label)) > _LONGEST_LABEL for label, _ in table.rows)
    labels = r">{\raggedright\arraybackslash}p{4cm}" if long else "l"
    header = [_header(text, upright=wide) for text in table.header]
    return "\n".join(
        [
            r"\begin{table}[H]",
            r"\centering\footnotesize",
            rf"\setlength{{\tabcolsep}}{{{2.5 if wide else 5}pt}}",
            rf"\caption{{{_caption(table.title)}}}",
            _label(table.title, index),
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{labels}{'r' * len(table.header)}}}",
            r"\toprule",
            _row(["", *(text + _marks("", table.most_marks) for text in header)]),
            r"\midrule",
            *_result_lines(table),
            r"\bottomrule",
            r"\end{tabular}}",
            *_notes([_key(table), *map(format_prose, table.notes)]),
            r"\end{table}",
        ]
    )


def _header(text: str, *, upright: bool) -> str:
    """Return the header of a column; a long one breaks into lines."""
    most, width = (_LONGEST_UPRIGHT, "5cm") if upright else (_LONGEST_HEADER, "3cm")
    ragged = r"\raggedright" if upright else r"\raggedleft"
    inner = rf"\parbox[b]{{{width}}}{{{ragged} {escape_words(text)}}}" if len(text) > most else escape(text)
    return rf"\rotatebox{{90}}{{{inner}}}" if upright else inner


def _result_lines(table: ResultTable) -> Iterator[str]:
    """Yield the lines of each row: ours, the range over seeds and the paper's, as far as it has them."""
    gutter = table.most_marks
    for i, (label, cells) in enumerate(table.rows):
        if i > 0:
            yield r"\addlinespace[2pt]"
        yield _row([escape_words(label), *(_ours(cell, is_best(cell, cells), gutter) for cell in cells)])
        if any(format_range(cell) for cell in cells):
            yield _row(["", *(_range(cell) for cell in cells)])
        if has_paper(cells):
            yield _row([r"\textit{the paper}", *(_papers(cell, gutter) for cell in cells)])
        for detail in list_details(cells):
            texts = (rf"\scriptsize {escape(text)}{_marks('', gutter)}" for text in detail.texts)
            yield _row([rf"\scriptsize {escape(detail.name)}", *texts])


def _ours(cell: Cell, best: bool, gutter: int) -> str:
    digits, marks = split_marks(cell)
    if best:
        digits = rf"\textbf{{{digits}}}"
    return _coloured(cell.colour, 0, digits + _marks(marks, gutter), hollow=cell.hollow)


def _marks(marks: str, gutter: int) -> str:
    """Return marks in a space that is as wide in every cell of the table, so that digits stay aligned."""
    if not gutter:
        return ""
    raised = rf"\textsuperscript{{{escape(marks)}}}" if marks else ""
    return rf"\makebox[{4.5 * gutter:g}pt][l]{{{raised}}}"


def _range(cell: Cell) -> str:
    text = rf"\tiny {format_range(cell)}" if format_range(cell) else ""
    return _ground(cell.colour, 0) + text if text and cell.colour and not cell.hollow else text


def _papers(cell: Cell, gutter: int) -> str:
    text = "-" if cell.paper is None else rf"\textit{{{cell.paper:.2f}}}"
    return _coloured(cell.paper_colour, 1, text + _marks("", gutter), hollow=cell.paper_hollow)


def _coloured(colour: Colour | None, shade: int, text: str, *, hollow: bool) -> str:
    """Return text on its colour, with a sign for readers who do not see it; a hollow colour is the sign alone."""
    if colour is None:
        return text
    mark = rf"{{\tiny${(_HOLLOW_SIGNS if hollow else _SIGNS)[colour]}$}}\,"
    return mark + text if hollow else _ground(colour, shade) + mark + text


def _ground(colour: Colour, shade: int) -> str:
    return rf"\cellcolor[HTML]{{{_COLOURS[colour][shade]}}}"


def _key(table: ResultTable) -> str:
    """Return the meaning of the table's typography."""
    signs = [
        rf"{{\tiny${sign}$}} {colour} than the baseline"
        for colour, sign in _SIGNS.items()
        if colour in table.colours
    ]
    lines = "Upper: ours; lower, in italics: the paper's. " if table.has_paper else ""
    meaning = f"; {', '.join(signs)} by 3 points or more" if signs else ""
    if table.has_hollow:
        hollow = ", ".join(rf"{{\tiny${sign}$}}" for sign in _HOLLOW_SIGNS.values())
        meaning += f" (hollow, {hollow}: by less than two standard errors)"
    return f"{lines}Bold: best finished cell of its row{meaning}."


def _listing(listing: Listing, index: int) -> str:
    """Return a listing, which may break over pages, with columns as wide as their texts need."""
    numeric = listing.numeric or (False,) * len(listing.header)
    shape = "".join(
        rf">{{\ragged{'left' if is_number else 'right'}\arraybackslash}}"
        rf"p{{\dimexpr {floor(1e4 * width) / 1e4:.4f}\linewidth-2\tabcolsep\relax}}"
        for width, is_number in zip(_widths(listing, numeric), numeric, strict=True)
    )
    head = [r"\toprule", _row([allow_breaks(format_prose(text)) for text in listing.header]), r"\midrule"]
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
            *(_row([format_prose(text) for text in row]) for row in listing.rows),
            r"\end{longtable}",
            *_notes([format_prose(note) for note in listing.notes]),
            r"\endgroup",
        ]
    )


def _widths(listing: Listing, numeric: tuple[bool, ...]) -> list[float]:
    """Return the share of the line for each column: first what numbers and longest words need, then texts."""
    columns = [tuple(map(spell_out, column)) for column in zip(listing.header, *listing.rows, strict=True)]
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


def _notes(lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    start = r"\begin{itemize}\setlength{\itemsep}{0pt}\setlength{\parskip}{0pt}"
    return [start, *(rf"\item {line}" for line in lines), r"\end{itemize}"]


def _caption(title: str) -> str:
    return ("Reproduction of " if title.startswith("Table ") else "") + format_prose(title)


def _label(title: str, index: int) -> str:
    words = re.findall("[a-z0-9]+", title.lower())
    return rf"\label{{tab:{'-'.join([str(index), *words[:4]])}}}"
