"""The page: valid, self-contained, complete, and readable in a browser."""

import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sharpflow.claim import StepView, Verdict
from sharpflow.theory import families
from sharpflow.verification.report import Picture, page, write_report
from sharpflow.verification.verification import Verification, verify

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Balance(HTMLParser):
    """Collects tags, addresses and whatever does not close."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.addresses, self.problems = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(tag)


@pytest.fixture(scope="module")
def result():
    chosen = ["homogeneity", "minimizers", "simple-sharpness", "sphere-map"]
    return verify([families.get("ridge").default(), families.get("crossing").default()], claims=chosen)


@pytest.fixture(scope="module")
def text(result):
    return page(result, pictures=[Picture("a < b", "caption & more", b"\x89PNG")])


def test_the_page_is_balanced_and_needs_nothing_else(text):
    parser = Balance()
    parser.feed(text)
    assert not parser.problems
    assert not parser.open
    assert "script" not in parser.tags
    assert "link" not in parser.tags
    assert all(address.startswith(("#", "data:")) for address in parser.addresses)
    assert "http" not in text.replace("http-equiv", "")
    targets = {address[1:] for address in parser.addresses if address.startswith("#")}
    assert all(f'id="{target}"' in text for target in targets)


def test_the_page_says_what_was_claimed_derived_and_measured(text, result):
    for verdict in result.verdicts:
        assert verdict.title in text
    assert text.count("<math") > len(result.verdicts)
    assert "Derivation, ridge" in text
    assert "not applicable" in text
    assert "jax" in text


def test_everything_from_outside_is_escaped(text):
    assert "a &lt; b" in text
    assert "caption &amp; more" in text
    step = StepView("a <b>", "s", "l", "<mi>x</mi>", "refuted", "m<", "n<", "r<", (("x<", "1"),))
    verdict = Verdict(
        "id", "title <i>", "loss <u>", "rule", "refuted", "inconsistent", message="<script>", statement="x",
        section="flow", steps=(step,),
    )  # fmt: skip
    shown = page(Verification((verdict,), 1.0, {"a<": "b<"}))
    for raw in ("<script>", "<i>", "<u>", "a <b>", "b<<"):
        assert raw not in shown.replace("<ul>", "")
    assert "What failed</h2>" in shown
    assert "<details open>" in shown


def test_interrupted_runs_say_so(result):
    assert "interrupted" in page(replace(result, interrupted=True))
    assert "interrupted" not in page(result)


@pytest.mark.deep
@pytest.mark.chromium
def test_a_browser_shows_it(result, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium here to open the report in")
    place = write_report(result, str(tmp_path))
    assert place.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    common = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    image = tmp_path / "page.png"
    shot = [*common, "--window-size=1000,1400", f"--screenshot={image}", place.as_uri()]
    subprocess.run(shot, check=True, capture_output=True, timeout=120)
    assert image.stat().st_size > 20_000
    dump = subprocess.run(
        [*common, "--dump-dom", place.as_uri()], check=True, capture_output=True, timeout=120, text=True
    )
    assert "Verification of the sharpness-reduction theory" in dump.stdout
    # What the browser made of it is what was written: nothing fell out of a table or a formula.
    assert dump.stdout.count("<math") == place.read_text(encoding="utf-8").count("<math")
