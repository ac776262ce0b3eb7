"""The page about a replay: whole, by itself, and working in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from step_ros.frames import read_bag_frames
from step_ros.report.report import choose_pairs, write_report
from step_ros.report.second_look import FILM_BYTES, _Film, look_again
from step_ros.runs.replay import choose_image_topic
from step_ros.runs.replay_run import TruthSource, replay_to_run
from step_ros.runs.run import RunError, read_run
from step_ros.runs.settings import read_settings
from step_ros.scores.live import LiveScores
from step_ros.scores.pace import PaceScores
from step_ros.scores.score import described


def replay(bag: Path, models: dict[str, Path], out: Path) -> Path:
    settings = read_settings(models=[str(path) for path in models.values()], engine="eager", device="cpu")
    replay_to_run(bag, choose_image_topic(bag, None), settings.load(), settings, TruthSource(), out)
    return out


@pytest.fixture(scope="module")
def run(recording: Path, models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replay(recording, models, tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def page(run: Path) -> Path:
    return write_report(run)


def test_the_page_refers_to_nothing_outside_itself(page: Path) -> None:
    html = page.read_text()
    references = re.findall(r'(?:src|href|xlink:href)="([^"]*)"', html)
    assert references
    assert all(reference.startswith(("#", "data:")) for reference in references)
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest", html)


def test_labels_are_no_formulas_and_no_html(run: Path, tmp_path: Path) -> None:
    """Dollars, braces, backslashes and tags, as labels have them, stand on the page as they are."""
    label = "$\\frac{left$ <b>&"
    shutil.copytree(run, tmp_path / "run")
    for name in ("run.json", "metrics.json"):
        path = tmp_path / "run" / name
        path.write_text(path.read_text().replace('"left"', json.dumps(label)))
    html = write_report(tmp_path / "run").read_text()
    assert label in unescape(html) and "<b>&" not in html


@pytest.mark.parametrize(
    "section",
    ["timeline", "scores", "confusion", "pairs", "paper", "classes", "reliability", "latency", "attention",
     "tsne", "cost", "facts"],
)  # fmt: skip
def test_the_page_has_every_section(page: Path, section: str) -> None:
    assert f'<section id="{section}"' in page.read_text()


def test_every_score_is_on_the_page_with_what_it_says(page: Path) -> None:
    html = unescape(page.read_text())
    for score in [*described(LiveScores).values(), *described(PaceScores).values()]:
        assert f'<th scope="row">{score.title}' in html and f"<td>{score.doc}</td>" in html


def test_every_picture_says_what_it_shows(page: Path) -> None:
    html = page.read_text()
    for tag in re.findall(r"<img [^>]*>", html):
        assert 'alt="' in tag
    for tag in re.findall(r"<svg [^>]*>", html):
        assert 'role="img"' in tag and re.search(r'aria-label="[^"]{10,}"', tag)


def test_ids_are_unique(page: Path) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page.read_text())
    assert len(ids) == len(set(ids))


def test_without_the_recording_the_rest_is_there(
    make_recording: Callable[..., Path], models: dict[str, Path], tmp_path: Path
) -> None:
    bag = make_recording(tmp_path / "moved")
    run = replay(bag, models, tmp_path / "run")
    bag.rename(tmp_path / "elsewhere")
    html = write_report(run).read_text()
    assert "no film, attention maps and t-SNE" in html and "moved does not exist" in html
    assert '<section id="confusion"' in html and '<section id="attention"' not in html
    assert '<section id="attention"' in write_report(run, bag=tmp_path / "elsewhere").read_text()


def test_without_truth_there_are_no_scores_but_a_page(
    make_recording: Callable[..., Path], models: dict[str, Path], tmp_path: Path
) -> None:
    bag = make_recording(tmp_path / "bag", truth=False)
    html = write_report(replay(bag, models, tmp_path / "run")).read_text()
    assert '<section id="timeline"' in html and '<section id="latency"' in html
    assert '<section id="scores"' not in html


def test_a_replay_without_updates_has_a_page_too(
    make_recording: Callable[..., Path], models: dict[str, Path], tmp_path: Path
) -> None:
    bag = make_recording(tmp_path / "bag", seconds=0.3)
    assert "no window was whole" in write_report(replay(bag, models, tmp_path / "run")).read_text()


def test_labels_cannot_break_out_of_the_page(run: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    content = json.loads((copied / "run.json").read_text())
    content["recording"] = "/nowhere/</script><script>alert(1)</script>"
    content["truth"]["motion"][0][1] = "</script><script>alert(2)</script>"
    (copied / "run.json").write_text(json.dumps(content))
    html = write_report(copied).read_text()
    assert "<script>alert" not in html


def test_a_folder_that_is_no_replay_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="make one: step-ros replay BAG"):
        write_report(tmp_path)


def test_pairs_are_chosen_by_name_or_by_time(run: Path) -> None:
    read = read_run(run)
    assert choose_pairs(read) == [("motion", ("right", "left"))]
    assert choose_pairs(read, [("left", "right")]) == [("motion", ("right", "left"))]
    with pytest.raises(ValueError, match="no nearly symmetric pair; there are: right / left"):
        choose_pairs(read, [("up", "down")])


def test_attention_lies_on_the_frames_that_the_window_shows(
    make_recording: Callable[..., Path], models: dict[str, Path], tmp_path: Path
) -> None:
    """Of the step of 100 ms that ends at 2.2 s no image can be decoded: the one before is shown twice."""
    bag = make_recording(tmp_path / "bag", broken=(64, 65, 66))
    run = read_run(replay(bag, models, tmp_path / "run"))
    perceiver = read_settings(models=[str(path) for path in models.values()], device="cpu").load()
    topic = choose_image_topic(bag, None).name
    examples = look_again(run, bag, topic, perceiver, [("motion", ("right", "left"))]).attention
    assert {example.label for example in examples} == {"right", "left"}
    frames = list(read_bag_frames(bag))
    for example in examples:
        newest_ns = perceiver.clip.grid_time_ns(perceiver.clip.grid_index(example.stamp_ns))
        for position, shown in zip((0, 2, 5, 7), example.frames, strict=True):
            grid_ns = newest_ns - (7 - position) * perceiver.clip.step_ns
            expected = max((f for f in frames if f.stamp_ns <= grid_ns), key=lambda f: f.stamp_ns)
            np.testing.assert_array_equal(shown, expected.rgb)


def test_the_film_of_ten_minutes_fits(run: Path) -> None:
    read = read_run(run)
    first_ns = read.span_ns[0]
    read.span_ns = (first_ns, first_ns + 600 * 10**9)
    read.updates = read.updates[:1] * 6000
    film = _Film(read)
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)  # no JPEG is larger
    for step in range(6000):
        film.offer(first_ns + step * 10**8, noise)
    frames = film.frames()
    assert len(frames) > 60
    assert sum(len(frame.jpeg) for frame in frames) <= FILM_BYTES


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Any]:
    """A headless Chromium; without one the test is skipped, unless STEP_ROS_REQUIRE_CHROMIUM=1."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    try:
        from selenium import webdriver
    except ImportError:
        webdriver = None
    if not (browser and driver and webdriver):
        reason = f"needs Chromium ({browser}), its driver ({driver}) and selenium ({webdriver})"
        if os.environ.get("STEP_ROS_REQUIRE_CHROMIUM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--disable-dev-shm-usage", "--window-size=1280,900", f"--user-data-dir={folder}"),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield started
    finally:
        started.quit()


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Any]:
    """The page, opened."""
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as started:
        started.get(page.as_uri())
        yield started


@pytest.fixture
def shown(browser: Any) -> Iterator[Any]:
    """The page from its beginning; at the end, nothing may have gone wrong in it."""
    browser.execute_script("document.getElementById('zoom-all').click()")
    press(browser, "Home")
    yield browser
    assert browser.get_log("browser") == []


def press(browser: Any, key: str) -> None:
    browser.execute_script(
        "const c = document.getElementById('canvas'); c.focus();"
        "c.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))",
        key,
    )


def moment(browser: Any) -> float:
    """The time that is shown, in seconds."""
    return float(browser.find_element("id", "moment-time").text.split()[0])


def pixel(browser: Any, css: str) -> str:
    return str(browser.execute_script(f"return getComputedStyle(document.body).{css}"))


def test_a_click_shows_the_frame_of_that_moment(shown: Any) -> None:
    from selenium.webdriver import ActionChains

    before = shown.find_element("id", "frame").get_attribute("src")
    canvas = shown.find_element("id", "canvas")
    ActionChains(shown).move_to_element_with_offset(
        canvas, canvas.size["width"] * 3 // 8, 0
    ).click().perform()
    assert moment(shown) == pytest.approx(6.0 * 0.875, abs=0.2)
    assert shown.find_element("id", "frame").get_attribute("src") != before
    assert shown.execute_script("return document.getElementById('frame').naturalWidth") == 160
    rows = shown.find_elements("css selector", "#moment-labels tbody tr")
    assert [row.find_element("tag name", "th").text for row in rows] == ["motion", "object"]
    assert rows[0].find_elements("tag name", "td")[0].text == "right"


def test_keys_step_and_zoom(shown: Any) -> None:
    start = moment(shown)
    press(shown, "ArrowRight")
    assert moment(shown) == pytest.approx(start + 0.1, abs=0.02)
    press(shown, "End")
    assert moment(shown) > 5.5
    before = shown.execute_script("return document.getElementById('canvas').toDataURL()")
    press(shown, "+")
    shown.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert shown.execute_script("return document.getElementById('canvas').toDataURL()") != before
    assert "seconds: motion" in shown.find_element("id", "canvas").get_attribute("aria-valuetext")


def test_the_next_mistake_is_one(shown: Any) -> None:
    shown.find_element("id", "next-mistake").click()
    row = shown.find_element("css selector", "#moment-labels tbody tr")
    true, said = (cell.text for cell in row.find_elements("tag name", "td")[:2])
    assert not said.startswith(true)


def test_it_follows_the_system_into_the_dark(shown: Any) -> None:
    light = pixel(shown, "backgroundColor")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    dark = pixel(shown, "backgroundColor")
    text = shown.execute_script("return getComputedStyle(document.querySelector('.figure svg text')).fill")
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert light == "rgb(255, 255, 255)" and dark != light
    assert text == "rgb(164, 176, 188)"  # --muted of the dark page


def test_paper_gets_the_drawing_and_no_buttons(shown: Any) -> None:
    def displayed() -> tuple[bool, bool]:
        return tuple(shown.find_element("id", name).is_displayed() for name in ("player", "drawing"))  # type: ignore[return-value]

    assert displayed() == (True, False)
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    on_paper = displayed()
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert on_paper == (False, True)


def test_a_narrow_screen_needs_no_sideways_scrolling(shown: Any) -> None:
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scrolled = shown.execute_script("return document.documentElement.scrollWidth")
    shown.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert scrolled == 360
