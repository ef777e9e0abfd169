"""Pages and data as static files: the application's own answers, found by following its own links.

Every link is relative and names a file, so that the folder may be served from any place of any host, or handed on as it
is: opened from a disk, a folder's address would show its list of files.
"""

import re
from collections import deque
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

from litestar.testing import TestClient

from ringback.errors import BadInput, Unavailable
from ringback.view.application import application
from ringback.view.pages import Pages
from ringback.view.refusing import raised
from ringback.words import LANGUAGES

LINK = re.compile(r'(?:href|action)="([^"#]+)"')
FAULTS = dict.fromkeys((BadInput, Unavailable, Exception), raised)  # a site that lacks pages is none
HOST = "http://testserver.local"
INDEX = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Ringback</title>
<meta name="viewport" content="width=device-width">
<p><a href="en/index.html">English</a> · <a href="ru/index.html">Русский</a></p></html>
"""


def publish(pages: Pages, folder: Path) -> int:
    """Writes the site; how many files. Forms that choose days need a server and are left out. Raises BadInput
    for what is no folder, and where a part of the store is damaged; Unavailable where the site can't be written."""
    if folder.exists() and not folder.is_dir():
        raise BadInput("is no folder", str(folder))
    waiting = deque([f"/{language}/" for language in LANGUAGES])
    seen = set(waiting)
    written = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.html").write_text(INDEX, "utf-8")
        with TestClient(application(pages, FAULTS), base_url=HOST) as client:
            while waiting:
                address = waiting.popleft()
                answer = client.get(address)
                if answer.status_code != 200:
                    continue
                content = answer.content
                if answer.headers["content-type"].startswith("text/html"):
                    text = re.sub(r'<form method="get".*?</form>', "", answer.text, flags=re.DOTALL)
                    for link in LINK.findall(text):
                        target = urljoin(HOST + address, link.replace("&amp;", "&"))
                        after = target.removeprefix(HOST)
                        if after.startswith("/") and after not in seen:
                            seen.add(after)
                            waiting.append(after)
                    content = LINK.sub(partial(_static, address), text).encode()
                file = folder / place_of(address)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                written += 1
    except OSError as error:
        raise Unavailable(f"{error.filename} can't be written: {error.strerror}") from error
    return written + 1


def place_of(address: str) -> str:
    """The file of an address: a folder's is `index.html`, data are `NAME.json` with their choice in the name."""
    parts = urlsplit(address)
    path = parts.path.lstrip("/")
    if path.endswith("/"):
        return f"{path}index.html"
    if not path.startswith("api/") or path.endswith(".json"):
        return path
    return "-".join([path, *(re.sub(r"[^A-Za-z0-9._]", "_", value) for _, value in parse_qsl(parts.query))]) + ".json"


def _static(address: str, match: re.Match[str]) -> str:
    """The same link as it stands in a folder: pages are files there, and data have other names."""
    link = match[1].replace("&amp;", "&")
    path = urlsplit(urljoin(HOST + address, link)).path
    if path.endswith("/"):
        return match[0].replace(match[1], link.partition("?")[0] + "index.html")
    if not path.startswith("/api/"):
        return match[0]
    up = "../" * (address.count("/") - 1)
    query = urlsplit(link).query
    return match[0].replace(match[1], up + place_of(path + (f"?{query}" if query else "")))
