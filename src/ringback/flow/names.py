"""Neutral host names for controls: as long as the app's own, so that sizes are equal, and owned by nobody."""

LETTERS = "harbourmeadowlanternorchardjunipercobalt"
DOMAIN = ".example"  # RFC 2606


def neutral_name(like: str) -> str:
    """A name under `.example` of the same length as `like` (9 at least): always the same one for one length."""
    room = max(1, len(like) - len(DOMAIN))
    labels = []
    while room > len(LETTERS):
        # Never leave a single character, which would have to be the dot.
        take = min(len(LETTERS), room - 2)
        labels.append(LETTERS[:take])
        room -= take + 1
    return ".".join([*labels, LETTERS[:room]]) + DOMAIN
