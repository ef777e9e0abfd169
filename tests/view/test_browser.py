"""The pages of a country in a real browser: both languages, phone and desktop, scripts on and off, for every eye.

Screenshots stay in the folder named by RINGBACK_SCREENSHOTS, else in pytest's own.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ringback.peer.serving import listening
from ringback.view import Pages, application

pytestmark = [pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(600)]
playwright = pytest.importorskip("playwright.async_api")

WIDTHS = {"phone": 390, "desktop": 1280}
PLACES = {
    "overview": "",
    "telegram": "of/telegram/voice/direct/",
    "networks": "networks/",
    "events": "events/",
    "days": "network/64496/whatsapp/voice/",
    "network": "network/64496/",
    "network-off": "network/64521/",
    "claims": "claims/",
    "method": "method/",
}
AXE = "axe.run().then(found => found.violations.map(one => [one.id, one.nodes.map(node => node.html).slice(0, 3)]))"
DRAWN = """() => [...document.querySelectorAll('svg.map .tile')].map(tile => {
  const box = tile.querySelector('rect').getBoundingClientRect();
  return [tile.dataset.region, box.width, box.height, getComputedStyle(tile.querySelector('rect')).fill,
          (tile.querySelector('.value') || {textContent: ''}).textContent]})"""
DOTS = "() => [...document.querySelectorAll('#timeline .dot')].map(dot => +dot.getAttribute('cy'))"


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@asynccontextmanager
async def served(pages: Pages) -> AsyncIterator[str]:
    port = free_port()
    async with listening(application(pages), "127.0.0.1", port):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def browser() -> AsyncIterator[Any]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    flags = ["--no-sandbox", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    async with playwright.async_playwright() as driver:
        running = await driver.chromium.launch(executable_path=found, args=flags)
        try:
            yield running
        finally:
            await running.close()


def places(pages: Pages) -> dict[str, str]:
    """Every kind of page there is, by name."""
    event = pages.figures.events("whatsapp", "voice")[0]
    report, number, _ = pages.published.newest(1)[0]
    return {**PLACES, "event": f"event/{event.id}/", "measurement": f"measurement/{report}/{number}/", "none": "no/"}


def screenshots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("RINGBACK_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def test_pages_are_drawn_from_the_data_and_ask_nobody_else(pages: Pages, tmp_path: Path) -> None:
    folder = screenshots(tmp_path)
    async with served(pages) as url, browser() as running, httpx.AsyncClient(base_url=url, timeout=120) as api:
        shares = {one["region"]: one["share"] for one in (await api.get("/api/v1/regions")).json()}
        days = [one["share"]["restricted"] for one in (await api.get("/api/v1/timeline")).json()]
        for language in ("en", "ru"):
            for device, width in WIDTHS.items():
                for scripts in (True, False):
                    said: list[str] = []
                    asked: list[str] = []
                    context = await running.new_context(
                        viewport={"width": width, "height": 900}, java_script_enabled=scripts
                    )
                    page = await context.new_page()
                    page.on("console", lambda message, said=said: said.append(message.text))
                    page.on("pageerror", lambda error, said=said: said.append(str(error)))
                    page.on("request", lambda request, asked=asked: asked.append(request.url))
                    for name, place in places(pages).items():
                        if name == "none":
                            continue
                        answer = await page.goto(f"{url}/{language}/{place}", timeout=120_000)
                        assert answer.status == 200
                        if name == "overview":
                            await check_overview(page, shares, days, scripts)
                        if scripts:
                            await page.screenshot(path=folder / f"{name}-{language}-{device}.png", full_page=True)
                            wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                            assert wide <= 0, f"{name} is wider than a {device}"
                    assert said == []
                    assert {urlsplit(one).netloc for one in asked} == {urlsplit(url).netloc}
                    await context.close()


async def check_overview(page: Any, shares: dict[str, Any], days: list[float | None], scripts: bool) -> None:
    """Every tile is a square of the same size and says the API's number; every public day is a dot at its height."""
    if not scripts:  # without scripts nothing can be evaluated either: the markup is there all the same
        assert await page.locator("svg.map .tile").count() == 83
        return
    tiles = await page.evaluate(DRAWN)
    assert len({(round(w, 1), round(h, 1)) for _, w, h, _, _ in tiles}) == 1
    assert all(w == pytest.approx(h, abs=0.5) and w > 10 for _, w, h, _, _ in tiles)
    for region, _, _, fill, said in tiles:
        share = shares.get(region, {}).get("restricted")
        assert ("hatch" in fill) == (share is None), region
        if share is not None and share >= 0.005:
            assert f"{100 * share:.0f}" in said, region
    heights = await page.evaluate(DOTS)
    public = [day for day in days if day is not None]
    assert len(heights) == len(public)
    top, base = 12, 248
    assert heights == pytest.approx([top + (1 - day) * (base - top) for day in public], abs=0.1)


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_axe_finds_no_barrier_on_any_page(pages: Pages, language: str) -> None:
    """Everything unfolded, at each width, by day and by night. The script comes with the tests' packages; the driver
    puts it in, for the pages' own policy allows none."""
    script = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    async with served(pages) as url, browser() as running:
        page = await running.new_page()
        for name, place in places(pages).items():
            await page.goto(f"{url}/{language}/{place}", timeout=120_000)
            await page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            await page.evaluate(script)
            papers = set()
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                papers.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
                for device, width in WIDTHS.items():
                    await page.set_viewport_size({"width": width, "height": 900})
                    assert await page.evaluate("window.innerWidth") == width
                    assert await page.evaluate(AXE) == [], (name, device, scheme)
            assert len(papers) == 2, "both schemes were looked at"
        # the check itself sees what it should
        await page.evaluate("document.querySelector('main').innerHTML = '<img src=x><p style=color:#ddd>x'")
        assert {"image-alt"} <= {id for id, _ in await page.evaluate(AXE)}


async def test_an_address_shows_the_same_after_a_reload_and_little_is_transferred(pages: Pages) -> None:
    async with served(pages) as url, browser() as running:
        page = await running.new_page()
        sizes: list[int] = []
        waiting: list[asyncio.Future[Any]] = []
        page.on("requestfinished", lambda request: waiting.append(asyncio.ensure_future(request.sizes())))  # noqa: TID251
        await page.goto(f"{url}/en/", timeout=120_000)
        sizes = [one["responseBodySize"] + one["responseHeadersSize"] for one in await asyncio.gather(*waiting)]
        assert 0 < sum(sizes) < 150_000
        await page.fill("input[name=since]", "2025-08-06")
        await page.fill("input[name=until]", "2025-08-09")
        await page.click("form button")
        before = await page.inner_text("h1")
        assert "no network was seen" in before
        await page.reload()
        assert await page.inner_text("h1") == before
        await page.click("text=Telegram")
        assert "Telegram" in await page.inner_text("h1")
        assert "2025-08-06" in page.url or "August 2025" in await page.inner_text("h1")
        await page.click("a.lang")
        assert urlsplit(page.url).path == "/ru/of/telegram/voice/direct/"


async def test_dark_mode_is_dark(pages: Pages, tmp_path: Path) -> None:
    async with served(pages) as url, browser() as running:
        context = await running.new_context(color_scheme="dark", viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        await page.goto(f"{url}/en/", timeout=120_000)
        paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(20, 23, 26)"
        await page.screenshot(path=screenshots(tmp_path) / "overview-en-dark.png", full_page=True)
        await context.close()
