"""The lake of observations and every query on it.

`Lake` is the folder, `Reading` asks it, `queries` holds the expressions, `check` says what is damaged, `intake` takes
files in, `FORMATS` hands them out; `schema` is what stands in a row.
"""

from ringback.store.checking import Problem, check
from ringback.store.exporting import FORMATS
from ringback.store.intake import intake, rebuild
from ringback.store.lake import Added, Lake
from ringback.store.queries import Selection
from ringback.store.reading import Reading

__all__ = ["FORMATS", "Added", "Lake", "Problem", "Reading", "Selection", "check", "intake", "rebuild"]
