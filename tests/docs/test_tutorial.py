"""The tutorial is run: its files are written, its commands executed, its output lines looked for."""

import re
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"```(toml|console)\n(.*?)```", re.DOTALL)


def test_every_command_of_the_tutorial_says_what_the_tutorial_shows(tmp_path: Path) -> None:
    ran = 0
    for kind, body in BLOCK.findall(TUTORIAL.read_text("utf-8")):
        if kind == "toml":
            name = re.search(r'name = "(\w+)"', body)
            assert name
            (tmp_path / f"{name[1]}.toml").write_text(body, "utf-8")
            continue
        command, *shown = body.strip().splitlines()
        words = command.removeprefix("$ ringback ").split()
        done = subprocess.run(
            [sys.executable, "-m", "ringback", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "COLUMNS": "100", "LANG": "C.UTF-8"},
        )
        said = re.sub(r"\s+", " ", done.stdout + done.stderr)
        for line in shown:
            assert line in said, f"{command}: no `{line}` in\n{done.stdout}\n{done.stderr}"
        ran += 1
    assert ran == 4
