"""The reference of all commands, from the code: `python -m ringback.cli.reference > docs/cli.md`."""

import re

from ringback.cli.application import build

HEAD = "<!-- Made by `python -m ringback.cli.reference > docs/cli.md`; a test says when it is out of date. -->\n\n"


def reference() -> str:
    """Markdown, one heading a command."""
    # A program started by `python -m` would be named as such in the usage lines.
    made = build().generate_docs(output_format="markdown", heading_level=1, usage_name="ringback")
    lines = [re.sub(r"^(ringback[a-z ]*) -m [\w.]+", r"\1", line.rstrip()) for line in made.strip().splitlines()]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
