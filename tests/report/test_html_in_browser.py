"""The HTML page in Chromium: sorting, switching to dark, narrow windows."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
import sample_document as sample

from asymbp_cli.report.html import render

_OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=2000"
)


def _run(directory: Path, page: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a browser that loads `page`; its profile is in `directory`."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("not run: no chromium here")
    file = directory / "page.html"
    file.write_text(page, encoding="utf-8")
    profile = f"--user-data-dir={directory / 'profile'}"
    words = [chromium, *_OPTIONS.split(), profile, *options, file.as_uri()]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)


def _browse(directory: Path, page: str, script: str) -> dict[str, object]:
    """Return the value of `script`, an expression or a promise, in a browser that has loaded `page`."""
    told = f"Promise.resolve({script}).then(found => {{ probe.textContent = JSON.stringify(found); }})"
    probe = f"<pre id=probe></pre><script>{told}</script></body>"
    done = _run(directory, page.replace("</body>", probe), "--dump-dom")
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    return json.loads(unescape(found[1]))  # type: ignore[no-any-return]


def test_a_click_on_a_header_sorts_and_keeps_rows_whole(tmp_path: Path) -> None:
    script = """(() => {
      const table = document.querySelector("table.results"), rows = () => [...table.tBodies[0].rows];
      const label = row => row.querySelector("bdi").textContent, whole = rows().map(row => row.textContent).sort();
      const click = i => { const th = table.tHead.rows[0].cells[i];
        th.querySelector("button").click(); return [th.getAttribute("aria-sort"), ...rows().map(label)]; };
      const wasDark = getComputedStyle(document.body).backgroundColor;
      return { numbers: [click(1), click(1), click(1)], gaps: [click(4), click(4)], labels: [click(0), click(0)],
        sorted: table.tHead.querySelectorAll("[aria-sort=descending]").length,
        kept: JSON.stringify(whole) === JSON.stringify(rows().map(row => row.textContent).sort()),
        single: document.querySelectorAll("table.results")[1].querySelectorAll("button").length,
        toggled: (scheme.click(), getComputedStyle(document.body).backgroundColor !== wasDark) };
    })()"""
    found = _browse(tmp_path, render(sample.DOCUMENT), script)
    by_name = ["CIFAR", "digits", "MNIST"]
    assert found["numbers"] == [
        ["ascending", "MNIST", "digits", "CIFAR"],
        ["descending", "CIFAR", "digits", "MNIST"],
        ["none", "MNIST", "CIFAR", "digits"],
    ]
    assert found["gaps"] == [["ascending", "digits", "CIFAR", "MNIST"], ["descending", "CIFAR", "digits", "MNIST"]]
    assert found["labels"] == [["ascending", *by_name], ["descending", *reversed(by_name)]]
    assert (found["sorted"], found["kept"], found["single"], found["toggled"]) == (1, True, 0, True)


@pytest.mark.parametrize("width", [900, 400])
def test_wide_tables_scroll_by_themselves_and_the_page_does_not(tmp_path: Path, width: int) -> None:
    parts = (*sample.DOCUMENT.blocks, sample.wide_table(columns=30), sample.many_columns())
    framed = render(replace(sample.DOCUMENT, blocks=parts))
    script = """(async () => {
      document.body.replaceChildren(probe);  // not the page, but a window of a given width with the page in it
      const frame = document.createElement("iframe");
      frame.width = WIDTH; frame.style.border = 0; document.body.append(frame);
      frame.contentDocument.write(FRAMED); frame.contentDocument.close();
      const root = frame.contentDocument.documentElement, boxes = [...root.querySelectorAll(".scroll")];
      for (const fold of root.querySelectorAll("details")) fold.open = true;
      const box = boxes.find(box => box.scrollWidth > box.clientWidth + 300), head = box.querySelector("tbody th");
      const left = head.getBoundingClientRect().left;
      box.scrollLeft = 300;
      for (let frames = 0; frames < 3; frames++) await new Promise(requestAnimationFrame);
      const told = box => box.querySelector(".cue").offsetHeight > 0;
      return { width: root.clientWidth, page: root.scrollWidth, box: box.scrollLeft,
        cues: boxes.every(box => told(box) === box.scrollWidth > box.clientWidth), some: boxes.some(told),
        moved: head.getBoundingClientRect().left - left };
    })()"""
    quoted = json.dumps(framed).replace("<", "\\u003c")
    found = _browse(tmp_path, framed, script.replace("WIDTH", str(width)).replace("FRAMED", quoted))
    assert found == {"width": width, "page": width, "box": 300, "moved": 0, "cues": True, "some": True}


def _print(directory: Path, page: str) -> list[tuple[float, float]]:
    """Return width and height of the pages on which a browser prints `page`."""
    file = directory / "page.pdf"
    _run(directory, page, f"--print-to-pdf={file}")
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", file.read_bytes())
    return [(float(width), float(height)) for width, height in boxes]


def test_what_is_folded_is_printed_and_wide_tables_are_on_wide_pages(tmp_path: Path) -> None:
    rows = tuple((f"{number}", "text") for number in range(400))
    folded = replace(sample.FOLDED, rows=rows)
    pages = _print(tmp_path, render(replace(sample.DOCUMENT, blocks=(sample.WITH_PAPER, folded))))
    assert len(pages) >= 5  # 400 rows, some 60 to a page
    assert all(width < height for width, height in pages)
    blocks = (sample.WITH_PAPER, sample.wide_table(columns=30))
    wide = [width > height for width, height in _print(tmp_path, render(replace(sample.DOCUMENT, blocks=blocks)))]
    assert wide == sorted(wide)  # the narrow table comes first
    assert set(wide) == {False, True}


@pytest.mark.parametrize(("columns", "millimetres"), [(11, 186), (20, 273), (30, 273)])
def test_a_printed_page_is_as_wide_as_its_paper(tmp_path: Path, columns: int, millimetres: int) -> None:
    """With the rules for paper on the screen. Otherwise all columns that are beyond its edge are lost."""
    blocks = (replace(sample.wide_table(columns=columns), notes=("A note.",)),)
    page = render(replace(sample.DOCUMENT, blocks=blocks)).replace("@media print", "@media screen")
    script = """(async () => {
      document.body.replaceChildren(probe);
      const frame = document.createElement("iframe");
      frame.style = "border: 0; width: WIDTHmm"; document.body.append(frame);
      frame.contentDocument.write(FRAMED); frame.contentDocument.close();
      const root = frame.contentDocument.documentElement;
      const places = [...root.querySelectorAll("th, th button")].map(one => getComputedStyle(one).position);
      return { over: root.scrollWidth > root.clientWidth, places: [...new Set(places)],
        notes: root.querySelector("details .notes").offsetHeight > 0 };
    })()"""
    quoted = json.dumps(page).replace("<", "\\u003c")
    found = _browse(tmp_path, page, script.replace("WIDTH", str(millimetres)).replace("FRAMED", quoted))
    assert found == {"over": False, "places": ["static"], "notes": True}  # heads are repeated on each page
