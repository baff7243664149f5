"""A page in headless Chromium, where it is installed."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
DRAWN = "return document.documentElement.dataset.drawn === 'all'"
PATIENCE = 240
"""Seconds that all figures of a page may take on a busy machine."""


def needed() -> None:
    """Skip a test where there is no browser."""
    pytest.importorskip("selenium")
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs chromium and chromedriver")


@contextmanager
def opened(page: Path, profile: Path, width: int = 1400, height: int = 900) -> Iterator:
    """Open a page from its file, and wait until all its figures are drawn."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    try:
        driver.set_script_timeout(PATIENCE)
        resized(driver, width, height)
        driver.get(page.resolve().as_uri())
        wait(driver, DRAWN)
        yield driver
    finally:
        driver.quit()


def resized(driver, width: int, height: int) -> None:
    """Give the page a width, which may be less than that of any window."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def wait(driver, script: str, seconds: float = PATIENCE) -> None:
    """Wait until a script returns something true."""
    end = time.monotonic() + seconds
    while not driver.execute_script(script):
        assert time.monotonic() < end, f"in vain: {script}"
        time.sleep(0.2)


def complaints(driver) -> list[str]:
    """Return what the console says of errors and warnings."""
    return [
        f"{e['level']}: {e['message']}" for e in driver.get_log("browser") if e["level"] != "INFO"
    ]
