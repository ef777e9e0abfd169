"""Kenya's events as a picture: `python -m tests.evidence.plot > docs/figures/kenya-2023.svg` (needs the real data)."""

from ringback.evidence.cells import DAY
from ringback.evidence.events import events
from tests.conftest import realdata_directory
from tests.evidence import kenya

LEFT, WIDTH, ROW = 90, 760, 44
FIRST, LAST = kenya.at(6, "00:00"), kenya.at(29, "00:00")


def x(at: float) -> float:
    return LEFT + WIDTH * (at - FIRST) / (LAST - FIRST)


def picture() -> str:
    """SVG: for each network its windows (bars), and the truth's intervals of onset and end (frames)."""
    found = {key.asn: history for key, history in events(kenya.kenya(realdata_directory())).items()}
    parts = []
    for day in range(6, 29):
        at = kenya.at(day, "00:00")
        parts.append(f'<text x="{x(at + DAY / 2):.1f}" y="16" text-anchor="middle">{day}</text>')
        parts.append(f'<line x1="{x(at):.1f}" y1="22" x2="{x(at):.1f}" y2="{30 + ROW * 4}" stroke="#ddd"/>')
    for row, (asn, truth) in enumerate(kenya.TRUTH.items()):
        top = 30 + ROW * row
        history = found[asn]
        parts.append(f'<text x="4" y="{top + 18}">AS{asn}</text><text x="4" y="{top + 32}">{history.status}</text>')
        colour = "#b5352b" if history.status == "event" else "#d99a2b"
        for event in history.events:
            for start, end in event.windows:
                width = max(x(end) - x(start), 2)
                parts.append(
                    f'<rect x="{x(start):.1f}" y="{top + 8}" width="{width:.1f}" height="22" fill="{colour}"/>'
                )
        for low, high in (truth.onset, truth.end):
            width = max(x(high) - x(low), 2)
            parts.append(
                f'<rect x="{x(low):.1f}" y="{top + 2}" width="{width:.1f}" height="34" fill="none" stroke="#1f4e79"/>'
            )
    height = 40 + ROW * 4
    title = "Telegram in Kenya, November 2023 (UTC days): measured windows, and the truth of onset and end framed"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 10} {height}" role="img" '
        f'font-family="sans-serif" font-size="11"><title>{title}</title>\n' + "\n".join(parts) + "\n</svg>\n"
    )


if __name__ == "__main__":
    print(picture(), end="")
