"""The lake of observations and every query on it. `Lake` is the folder, `Reading` asks it, `queries` holds the
expressions, `check` says what is damaged; `schema` is what stands in a row."""

from ringback.store.checking import Problem, check
from ringback.store.lake import Added, Lake
from ringback.store.queries import Selection
from ringback.store.reading import Reading

__all__ = ["Added", "Lake", "Problem", "Reading", "Selection", "check"]
