"""The HTML page: complete, escaped, self-contained, readable without colours."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

import pytest
import sample_document as sample

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.report.cells import format_error
from asymbp_cli.report.charts.looks import STROKES
from asymbp_cli.report.document import Document
from asymbp_cli.report.html import render
from asymbp_cli.report.result_table import ResultTable
from asymbp_cli.text import escape_controls

_VOID = {"meta", "wbr"}


class _Parser(HTMLParser):
    """Builds a tree, and fails on an end tag that closes something else."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = TreeBuilder()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.tree.start(tag, {name: value or "" for name, value in attrs})
        if tag in _VOID:
            self.tree.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.tree.end(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.tree.data(data)


def _parsed(page: str) -> Element:
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser.tree.close()


@pytest.fixture(scope="module")
def page() -> str:
    return render(sample.DOCUMENT)


@pytest.fixture(scope="module")
def tree(page: str) -> Element:
    return _parsed(page)


def _text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _cells(tree: Element, table: ResultTable) -> Iterator[tuple[Cell, Element]]:
    """Yield every cell of `table` with its place in the page."""
    elements = [t for t in tree.iter("table") if t.get("class") == "results"]
    element = next(t for t in elements if table.title in "".join(t.find("caption").itertext()))  # type: ignore[union-attr]
    lines = element.findall("tbody/tr")
    for (label, cells), line in zip(table.rows, lines, strict=True):
        assert label in "".join(line.find("th").itertext())  # type: ignore[union-attr]
        yield from zip(cells, line.findall("td"), strict=True)


def _classes(element: Element) -> set[str]:
    return set(element.get("class", "").split())


def _half(place: Element, name: str) -> Element | None:
    return next((div for div in place.findall("div") if name in _classes(div)), None)


@pytest.mark.parametrize("table", [sample.WITH_PAPER, sample.HOSTILE_TABLE])
def test_every_cell_shows_its_number_and_below_it_the_papers(tree: Element, table: ResultTable) -> None:
    for cell, place in _cells(tree, table):
        own, paper = _half(place, "own"), _half(place, "paper")
        assert own is not None
        assert format_error(cell) in _text(own)
        if cell.paper is not None:
            assert paper is not None
            assert f"{cell.paper:.2f}" in [_text(i) for i in paper.iter("i")]
    for _, place in list(_cells(tree, sample.WITH_PAPER))[8:]:  # a row that the paper does not have
        assert _half(place, "paper") is None


def test_several_seeds_show_their_spread(tree: Element) -> None:
    (cell, place), _ = _cells(tree, sample.HOSTILE_TABLE)
    assert (format_error(cell), _text(next(place.iter("small")))[-9:]) == ("1.00", "0.94-1.21")
    assert "median of 3 seeds" in place.get("title", "")


def test_colours_come_with_marks_for_ours_and_for_the_papers(tree: Element) -> None:
    signs = {"worse": "▲", "better": "▼"}
    for cell, place in _cells(tree, sample.WITH_PAPER):
        for half, colour in ((_half(place, "own"), cell.colour), (_half(place, "paper"), cell.paper_colour)):
            if half is not None:
                assert _classes(half) & {"worse", "better"} == ({colour} if colour else set())
                assert [sign for sign in signs.values() if sign in _text(half)] == (
                    [signs[colour]] if colour else []
                )
                assert (f"{colour}: " in _text(half)) == bool(colour)  # for screen readers


def test_the_best_finished_cell_of_each_row_is_bold_and_ties_are_all_bold(tree: Element) -> None:
    bold = [[_text(b) for b in place.iter("b")] for _, place in _cells(tree, sample.WITH_PAPER)]
    assert bold == [["0.83"], [], [], [], [], [], ["17.12"], ["17.12"], [], [], [], ["0.56"]]


def test_marks_have_words_for_screen_readers(tree: Element) -> None:
    places = dict(zip(("plain", "marked", "unfinished"), _cells(tree, sample.WITH_PAPER), strict=False))
    words = {name: _text(place) for name, (_, place) in places.items()}
    assert "88.65=* collapsed some runs diverged" in words["marked"]
    assert words["unfinished"].startswith("0.65~ unfinished")  # though it is the lowest so far
    assert words["plain"].startswith("0.83 best finished cell of its row")
    assert not any(word in words["plain"] for word in ("collapsed", "diverged", "unfinished"))


def test_a_missing_cell_says_why_in_its_tooltip_and_to_screen_readers(tree: Element) -> None:
    missing = [
        (cell, place)
        for table in (sample.WITH_PAPER, sample.HOSTILE_TABLE)
        for cell, place in _cells(tree, table)
        if not cell.picks
    ]
    assert len(missing) == 2
    for cell, place in missing:
        assert cell.reason in place.get("title", "")
        own = _half(place, "own")
        assert own is not None
        assert _text(own).startswith(f"- {cell.reason}")
        assert place.get("data-value") is None


def test_a_cells_tooltip_says_where_its_number_comes_from(tree: Element) -> None:
    title = list(_cells(tree, sample.WITH_PAPER))[1][1].get("title", "")
    for fact in ("8,865 of 10,000 wrong", "multiplier 0.1", "epoch 4", "run 0a1b2c3d", "5 of 5 runs", "3 div"):
        assert fact in title


def test_texts_of_users_stay_text(page: str, tree: Element) -> None:
    assert len(list(tree.iter("script"))) == 1
    assert list(tree.iter("img")) == []
    places = [_text(element) for tag in ("h2", "th", "li", "td", "a") for element in tree.iter(tag)]
    assert places.count(" ".join(sample.HOSTILE.split())) == 6
    # that is: contents (item and link), title, header, note, listing; a label has names of lines below it
    assert "<bdi>" in page  # a right-to-left label keeps its neighbours in order
    render(replace(sample.DOCUMENT, title="caf\udce9")).encode()  # a file name that is no Unicode


def test_backticks_become_code(tree: Element) -> None:
    code = [_text(element) for element in tree.iter("code")]
    for expected in ("asymbp report", "uSF", "note", "=", "asymbp reproduce --table 2 --data-dir /a/b_c/d"):
        assert expected in code
    assert any(_text(th) == "lone ` backtick" for th in tree.iter("th"))


def test_nothing_is_fetched(page: str, tree: Element) -> None:
    for element in tree.iter():
        assert element.tag not in {"link", "iframe", "object", "embed", "base"}
        assert "src" not in element.attrib
        assert element.get("href", "#").startswith("#")
    assert "@import" not in page
    assert "://" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(\s*['\"]?([^)]*)", page))


def test_ids_are_unique_and_every_reference_resolves(tree: Element) -> None:
    ids = [element.get("id", "") for element in tree.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    targets = [element.get("href", "")[1:] for element in tree.iter() if "href" in element.attrib]
    targets += [e.get("aria-labelledby", "") for e in tree.iter() if "aria-labelledby" in e.attrib]
    targets += re.findall(r"url\(#([^)]*)\)", " ".join(v for e in tree.iter() for v in e.attrib.values()))
    assert set(targets) <= set(ids)


def test_there_are_contents_where_there_are_more_than_two_parts(tree: Element) -> None:
    links = [_text(link) for link in tree.iterfind(".//nav//a")]
    assert len(links) == 3
    assert links[0] == sample.WITH_PAPER.title
    assert links[2] == "Provenance"
    assert "nav" not in [e.tag for e in _parsed(render(Document("Short", "", (sample.LISTING,) * 2))).iter()]


def test_figures_are_under_the_block_that_they_belong_to(tree: Element) -> None:
    places = [[e.tag for e in section.iter() if e.tag == "figure"] for section in tree.iter("section")]
    assert places == [[], ["figure", "figure"], []]
    alone = _parsed(render(Document("Figures", "", (sample.FIGURE, sample.LISTING))))
    assert len(list(alone.iter("figure"))) == 1


def test_figures_are_inline_and_every_panel_is_described(page: str, tree: Element) -> None:
    for figure in tree.iter("figure"):
        described = [drawing.get("aria-label") for drawing in figure.iter("svg") if drawing.get("role") == "img"]
        assert described == ["uSF: 2 % in epoch 2", f"{escape_controls(sample.HOSTILE)}: falls"]
        assert "a < b" in _text(figure)
        assert "↑ test error, % → epoch" in _text(figure)
        assert _text(figure.find("figcaption")) == sample.FIGURE.caption.replace("`", "")  # type: ignore[arg-type]
    assert page.count("<!") == 1  # the page's own doctype
    assert "<?xml" not in page


def test_figures_of_many_datasets_are_folded() -> None:
    def drawn(count: int) -> Element:
        figures = (replace(sample.FIGURE, dataset=f"set {i}") for i in range(count))
        return _parsed(render(Document("Many", "", (sample.WITH_PAPER, *figures))))

    assert [_text(e) for e in drawn(3).iter("summary") if "Figures" in _text(e)] == []
    assert [_text(e) for e in drawn(4).iter("summary") if "Figures" in _text(e)] == [
        f"Figures of set {i}" for i in range(4)
    ]


def test_folded_listings_are_closed_under_the_block_above() -> None:
    tree = _parsed(render(Document("Folded", "", (sample.LISTING, sample.FOLDED))))
    (fold,) = [e for e in tree.iter("details") if e.get("class") == "fold"]
    assert _text(fold.find("summary")) == "Details"  # type: ignore[arg-type]
    assert "open" not in fold.attrib
    (section,) = [e for e in tree.iter("section") if fold in list(e)]
    assert _text(section.find("h2")) == "Provenance"  # type: ignore[arg-type]


def test_the_summary_comes_first(tree: Element) -> None:
    (summary,) = tree.iterfind(".//header/dl")
    assert next(_text(line) for line in summary) == "Trained 3 runs."
    assert [e.tag for e in tree.iterfind("body/header/*")][:3] == ["p", "h1", "dl"]


def test_every_figure_follows_light_and_dark_through_the_pages_colours(page: str, tree: Element) -> None:
    rules = page[page.index(".chart path") : page.index("details {")]
    assert not re.search("#[0-9a-f]{3,6}", rules)
    inks = {name: stroke.colour for name, stroke in STROKES.items()}
    for name, colour in inks.items():
        assert f".chart .{name}{{color:var(--{colour})}}" in rules
    used = {
        name for e in tree.iter() if e.tag in ("path", "circle", "text") for name in e.get("class", "").split()
    }
    assert used <= inks.keys() | {"mark", "full", "band", "title", "tick", "label"}


def test_every_table_can_say_that_it_scrolls() -> None:
    tree = _parsed(render(Document("Wide", "", (sample.LISTING, sample.wide_table()))))
    cues = [(e.get("class"), _text(e)) for e in tree.iter("p") if "cue" in e.get("class", "")]
    assert cues == [("cue", said := "the table scrolls sideways →"), ("cue likely", said)]


def test_tables_and_headings_are_marked_up_for_assistive_technology(tree: Element) -> None:
    assert tree.get("lang") == "en"
    assert [e.tag for e in tree.iter() if e.tag in {"h1", "h2", "h3"}] == ["h1", "h2", "h2", "h2"]
    assert _text(next(tree.iter("title"))) == sample.DOCUMENT.title
    for table in tree.iter("table"):
        assert _text(table.find("caption"))  # type: ignore[arg-type]
        assert {th.get("scope") for th in table.iterfind("thead/tr/th")} == {"col"}
        assert {th.get("scope") for th in table.iterfind("tbody/tr/th")} == {"row"}
        assert all(len(row) == len(table.find("thead/tr")) for row in table.iterfind("tbody/tr"))  # type: ignore[arg-type]


def test_numbers_of_listings_are_aligned(tree: Element) -> None:
    listing = next(t for t in tree.iter("table") if t.get("class") == "listing")
    assert [th.get("class") for th in listing.iterfind("thead/tr/th")] == [None, None, "number"]


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_contrast_is_enough_in_light_and_dark(page: str) -> None:
    palettes = re.findall("--ground:#.*", page)
    schemes = [dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6})", palette)) for palette in palettes]
    assert len({scheme["ground"] for scheme in schemes}) == 2
    grounds = ("ground", "worse", "better", "worse-pale", "better-pale")
    pairs = [("ink", ground) for ground in grounds] + [("link", "ground"), ("muted", "ground")]
    pairs += [("muted", "worse-pale"), ("muted", "better-pale")]
    pairs += [(line, "ground") for line in ("ours", "papers", "plain")]
    for scheme in schemes:
        for text, ground in pairs:
            low, high = sorted((_luminance(scheme[text]), _luminance(scheme[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground, scheme[text], scheme[ground])
