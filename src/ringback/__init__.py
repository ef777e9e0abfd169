"""Ringback measures which functions of a messenger a network restricts: how, where, and what gets around it.

The package is a row of rooms, and data goes one way through them; CONTRIBUTING.md names each room and what it may
import.
"""

from importlib.metadata import version

__version__: str = version("ringback")
