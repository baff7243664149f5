"""The page in headless Chromium: figures are drawn, hover and zoom work, axe-core finds nothing."""

import re
import shutil
import subprocess

import pytest

from neuro_aws.recording.reader import open_run
from neuro_aws.report.interactive.cells import ROOM
from neuro_aws.report.make import report
from tests.calls import command
from tests.conftest import TINY
from tests.report import browser, made

pytestmark = pytest.mark.slow

TOOLTIPS = """
const found = [];
const look = (root) => root.querySelectorAll("*").forEach((one) => {
  if (one.shadowRoot) {
    if (String(one.className).includes("bk-Tooltip")) found.push(one.shadowRoot.textContent);
    look(one.shadowRoot);
  }
  if (String(one.className).includes("bk-Tooltip")) found.push(one.textContent);
});
look(document);
return found.join("|");
"""
AXE = """
const done = arguments[0];
axe.run().then((found) => done(found.violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => `${one.id}: ${one.nodes[0].html}`)));
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    browser.needed()
    pytest.importorskip("bokeh")
    folder = tmp_path_factory.mktemp("browser")
    (folder / "tiny.yaml").write_text(TINY)
    done = command("run", "tiny.yaml", "--seeds", "2", "--jobs", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    run = next((folder / "runs" / "tiny").iterdir())
    done = command("report", str(run), cwd=folder)
    assert done.returncode == 0, done.stderr
    with browser.opened(run / "report.html", folder / "profile", width=820) as driver:
        yield driver, run


@pytest.fixture(scope="module")
def of_matrix(tmp_path_factory):
    browser.needed()
    pytest.importorskip("bokeh")
    folder = made.matrix(tmp_path_factory.mktemp("matrix"))
    profile = tmp_path_factory.mktemp("profile")
    with browser.opened(report(folder), profile, width=1400) as driver:
        yield driver


def point_at(driver, chart: str, share: float, left: int = 64, down: int = 230) -> str:
    """Move the mouse over a figure, so far from its left edge and from its top; return the tip."""
    from selenium.webdriver import ActionChains

    drawn = driver.find_element("id", chart)
    driver.execute_script("arguments[0].scrollIntoView()", drawn)
    width = drawn.size["width"]
    x = round(left + share * (width - left - 10) - width / 2)
    y = round(down - drawn.size["height"] / 2)
    for shift in (0, 1):
        ActionChains(driver).move_to_element_with_offset(drawn, x + shift, y).perform()
    browser.wait(driver, TOOLTIPS, 30)
    return driver.execute_script(TOOLTIPS)


def test_pointing_at_a_step_shows_the_recorded_value(page):
    driver, run = page
    tip = point_at(driver, "course-control-whole", 0.5)
    step = int(re.search(r"step:?\s*(\d+)", tip)[1])
    ach = float(open_run(run).traces(0, "control")["ach"].sel(step=step))
    said = float(re.search(r"ach:?\s*(-?[\d.]+(?:e[+-]?\d+)?)", tip)[1])
    assert said == pytest.approx(ach, abs=6e-4 * max(1, abs(ach)))


def test_buttons_zoom_and_no_page_is_wider_than_the_screen(page):
    driver, _ = page
    axis = "return Bokeh.documents.map(d => d.get_model_by_name('time')).filter(r => r)[0]"
    whole = driver.execute_script(f"{axis}.end - 0")
    button = driver.find_element("css selector", "button[data-zoom='in']")
    driver.execute_script("arguments[0].focus()", button)
    button.send_keys("\ue007")
    assert driver.execute_script(f"{axis}.end - 0") < whole
    for width in (390, 820, 1400):
        browser.resized(driver, width, 900)
        inner = driver.execute_script("return document.documentElement.scrollWidth")
        assert inner <= width


def test_pointing_at_a_cell_of_a_matrix_shows_all_of_it(of_matrix):
    tip = point_at(of_matrix, "matrix-images", 1 / 6, ROOM, 60)
    for said in ("learns", "silenced", "-0.712 [-0.724, -0.700]", "0.001", "F in wake; G in wake"):
        assert said in tip
    for width in (390, 820, 1400):
        browser.resized(of_matrix, width, 900)
        assert of_matrix.execute_script("return document.documentElement.scrollWidth") <= width


def test_on_paper_a_table_stands_in_place_of_the_matrix_and_its_file_is_shown(of_matrix):
    of_matrix.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    unfolded = "return Array.from(document.querySelectorAll('details[open]'), d => d.innerText)"
    texts = of_matrix.execute_script(unfolded)
    assert any("matrix_version: 1" in text for text in texts)
    assert any("Numbers behind this figure" in text for text in texts)
    of_matrix.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert not of_matrix.execute_script(unfolded)


@pytest.mark.parametrize("which", ["page", "of_matrix"])
def test_axe_finds_nothing_serious(which, request, tmp_path):
    found = request.getfixturevalue(which)
    driver = found[0] if which == "page" else found
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, which fetches axe-core")
    fetched = subprocess.run(
        [npm, "pack", "axe-core@4", "--silent"], cwd=tmp_path, capture_output=True, text=True
    )
    if fetched.returncode:
        pytest.skip("axe-core could not be fetched")
    shutil.unpack_archive(tmp_path / fetched.stdout.strip(), tmp_path)
    driver.execute_script((tmp_path / "package" / "axe.min.js").read_text())
    assert driver.execute_async_script(AXE) == []


def test_the_console_is_silent(page, of_matrix):
    assert browser.complaints(page[0]) == []
    assert browser.complaints(of_matrix) == []
