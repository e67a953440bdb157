"""The LaTeX document: escaped, complete, and accepted by pdflatex without a line that is too wide."""
# ruff: noqa: RUF001  (letters that look alike are the point)

import re
import shutil
import string
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import sample_document as sample

from asymbp_cli.report.document import Code, Document, Listing
from asymbp_cli.report.latex import render
from asymbp_cli.report.latex_text import escape, find_unknown, format_prose

_UNICODE = "éèêëñçåøæœßłŁőžıïĂ – — ‘’“” × ± ≤ ≥ ≈ → ∘ · ° µ μ σ ² − … ½ ﬁ Ａ שלום 漢字 🟨 \u202e \x00 \udce9"


@pytest.fixture(scope="module")
def text() -> str:
    return render(sample.DOCUMENT)


def _environments(text: str, name: str) -> list[str]:
    return re.findall(rf"\\begin{{{name}}}.*?\\end{{{name}}}", text, re.DOTALL)


@pytest.mark.parametrize(
    ("letter", "expected"),
    [
        ("\\", r"$\backslash$"),
        ("{", r"$\{$"),
        ("}", r"$\}$"),
        ("%", r"\%"),
        ("$", r"$\mathdollar$"),
        ("#", r"\#"),
        ("&", r"\&"),
        ("_", r"\_"),
        ("^", r"\textasciicircum{}"),
        ("~", r"$\sim$"),
        ("<", "$<$"),
        (">", "$>$"),
        ("|", "$|$"),
        ('"', r"{\char34}"),
        ("`", r"{\char96}"),
        ("--", r"-{}-{}"),
        ("\n", " "),
        ("é", r"\'{e}"),
        ("ï", r"\"{\i}"),
        ("ł", r"\l{}"),
        ("×", r"$\times$"),
        ("½", "1/2"),
        ("漢", r"\texttt{[U+6F22]}"),
        ("漢字 שלום", r"\texttt{[U+6F22 U+5B57]} \texttt{[U+05E9 U+05DC U+05D5 U+05DD]}"),
        ("한", r"\texttt{[U+D55C]}"),
        ("\U0001f469\u200d\U0001f52c", r"\texttt{[U+1F469 U+200D U+1F52C]}"),
        ("ế", r"\'{\^{e}}"),
        ("▲△", r"$\blacktriangle$$\vartriangle$"),
        ("\u202e\x00", ""),
        ("a\u0323\u0301\u0302", r"\^{\'{\d{a}}}"),
        ("a\u0489", r"a\texttt{[U+0489]}"),
    ],
)
def test_special_letters_are_escaped(letter: str, expected: str) -> None:
    assert escape(f"x{letter}y") == f"x{expected}y"


def test_everything_is_ascii_and_nothing_ordinary_is_lost() -> None:
    assert escape(_UNICODE + sample.HOSTILE).isascii()
    ordinary = string.ascii_letters + string.digits + " .,:;!?()+=/'@"
    assert escape(ordinary) == ordinary


def test_letters_without_a_sign_can_be_told_apart_and_a_comment_says_which_they_are() -> None:
    names = ["漢字", "平仮", "שלום", "مرحبا", "🟨", "한국"]
    listing = Listing("Labels", ("name",), tuple((name,) for name in names))
    text = render(Document("", "", (listing,)))
    assert len({escape(name) for name in names}) == len(names)
    assert find_unknown(text) == sorted(set("".join(names)))
    assert all(f"% U+{ord(letter):04X} is {letter}\n" in text for letter in "".join(names))
    assert "".join(line for line in text.splitlines() if not line.startswith("%")).isascii()


def test_long_names_break() -> None:
    long = "x" * 300
    table = replace(sample.WITH_PAPER, header=(long, *sample.HEADER[1:]))
    text = render(Document("", "", (table, replace(sample.wide_table(), header=(long,) * 11))))
    assert text.count(r"\parbox[b]") == 12
    assert max(len(word) for word in re.findall("x+", text)) < 30


def test_code_spans_are_set_in_typewriter_and_may_break_in_paths() -> None:
    assert format_prose("see `a_b/c` & `d`") == r"see \texttt{a\_\allowbreak{}b/\allowbreak{}c} \& \texttt{d}"


def test_every_table_has_a_caption_and_its_own_label(text: str) -> None:
    tables = _environments(text, "table") + _environments(text, "longtable")
    assert len(tables) == 3
    labels = [label for table in tables for label in re.findall(r"\\label{([^}]*)}", table)]
    assert len(set(labels)) == len(labels) == 3
    assert [table.count(r"\caption{") for table in tables] == [1, 1, 1]
    assert r"\caption{Reproduction of Table 2 (Exp. A). Signs}" in tables[0]


def test_ours_stand_over_the_papers_with_colours_and_marks(text: str) -> None:
    lines = _environments(text, "table")[0].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("MNIST"))
    ours, papers = (line.removesuffix(r" \\").split(" & ") for line in lines[start : start + 2])
    assert len(ours) == len(papers) == 1 + len(sample.HEADER)
    assert ours[1].startswith(r"\textbf{0.83}")
    assert ours[2].startswith(r"\cellcolor[HTML]{F6DF8F}{\tiny$\blacktriangle$}\,88.65")
    assert r"\textsuperscript{={*}}" in ours[2]
    assert ours[3].startswith("0.65")  # unfinished, so not bold
    assert r"\textsuperscript{$\sim$}" in ours[3]
    assert ours[4].startswith("-")
    assert papers[0] == r"\textit{the paper}"
    assert papers[1].startswith(r"\textit{0.67}")
    assert papers[2].startswith(r"\cellcolor[HTML]{FAEEC4}{\tiny$\blacktriangle$}\,\textit{88.65}")
    cifar = next(line for line in lines if line.startswith("CIFAR"))
    assert cifar.count(r"\blacktriangledown$}\,\textbf{17.12}") == 2
    assert [line.split(" & ")[0] for line in lines if "the paper}" in line].count(r"\textit{the paper}") == 2


def test_the_same_table_twice_has_two_labels() -> None:
    twice = render(Document("", "", (sample.WITH_PAPER, sample.WITH_PAPER)))
    assert len(set(re.findall(r"\\label{([^}]*)}", twice))) == 2


def test_headers_stand_upright_where_there_are_many(text: str) -> None:
    assert "rotatebox{" not in text.partition(r"\begin{document}")[2]
    assert render(Document("", "", (sample.wide_table(),))).count(r"\rotatebox{90}{brSF-{}") == 11


def test_long_labels_wrap(text: str) -> None:
    shapes = re.findall(r"\\begin{tabular}{(.*)}", text)
    assert shapes == ["lrrrr", r">{\raggedright\arraybackslash}p{4cm}rr"]


def test_several_seeds_show_their_spread(text: str) -> None:
    assert r"\tiny 0.94-1.21" in _environments(text, "table")[1]


def test_notes_are_items_below_their_table(text: str) -> None:
    table = _environments(text, "table")[0]
    items = re.findall(r"\\item (.*)", table.partition(r"\end{tabular}")[2])
    assert items[1:] == ["Test error in percent.", r"\texttt{=} collapsed; \texttt{{*}} diverged."]
    assert "worse than the baseline" in items[0]
    assert "better than the baseline" in items[0]


def test_figures_are_a_comment(text: str) -> None:
    comments = [line for line in text.splitlines() if line.startswith("% Figure")]
    assert (
        comments
        == ["% Figure curves, which is no file here: Errors of {\\char96}uSF{\\char96} by epoch. More words."] * 2
    )
    broken = replace(sample.FIGURE, caption="one\n\\input{two}")
    assert "\n\\input" not in render(Document("", "", (broken,)))


@pytest.mark.parametrize(
    "listing",
    [sample.LISTING, sample.many_columns(), sample.many_columns("-17.08 to +13.01"), sample.many_columns("-7")],
)
def test_columns_of_listings_fill_no_more_than_the_line(listing: Listing) -> None:
    shares = [float(share) for share in re.findall(r"dimexpr ([\d.]+)", render(Document("", "", (listing,))))]
    assert len(shares) == len(listing.header)
    assert 0.5 < round(sum(shares), 6) <= 1
    assert min(shares) > 0.04


def test_numbers_of_listings_stay_in_one_line_however_long_the_text_beside_them() -> None:
    texts = ("a sentence of many words " * 9,) * 9
    listing = Listing("", ("n", *"abcdefghi"), (("11 (100 %)", *texts),))
    (share, *others) = re.findall(r"dimexpr ([\d.]+)", render(Document("", "", (listing,))))
    assert float(share) >= len("11 (100 %)") / 95
    assert float(share) > max(map(float, others))


def test_compiles(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("not run: no pdflatex here")
    letters = tuple(string.printable + _UNICODE)
    alphabet = Listing("All letters", ("letter", "code"), tuple((one, f"`{one}x`") for one in letters))
    hostile = replace(sample.HOSTILE_TABLE, rows=tuple((one, sample.WITH_PAPER.rows[0][1][:2]) for one in "[*]&-"))
    wide = (
        sample.UNSURE,
        sample.wide_table(),
        sample.wide_table(columns=22),
        sample.many_columns(),
        sample.many_columns("-17.08 to +13.01"),
    )
    document = replace(sample.DOCUMENT, blocks=(*sample.DOCUMENT.blocks, alphabet, hostile, *wide))
    long = replace(sample.WITH_PAPER, header=("x" * 300, "many words " * 30, *sample.HEADER[2:]))
    document = replace(document, blocks=(*document.blocks, long, Code("Code", "@x{y,\n  z = {%&_#}\n}")))
    (tmp_path / "report.tex").write_text(render(document), encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
    log = (tmp_path / "report.log").read_text(errors="replace")
    assert re.findall(r"Overfull .*|Missing character.*|LaTeX Font Warning.*", log) == []
