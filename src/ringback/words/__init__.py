"""What is said to people, in English and Russian, for terminal and pages alike.

Words follow the evidence: no e-values, and never that an app works where only a partner was seen.
"""

from ringback.words.cell import cell
from ringback.words.explanation import Explanation, explain, explain_all
from ringback.words.phrases import LANGUAGES, Language, Phrases, load
from ringback.words.strangers import harmless
from ringback.words.summary import Summary, sentence, summarise
from ringback.words.table import plain, table, tries_table

__all__ = [
    "LANGUAGES",
    "Explanation",
    "Language",
    "Phrases",
    "Summary",
    "cell",
    "explain",
    "explain_all",
    "harmless",
    "load",
    "plain",
    "sentence",
    "summarise",
    "table",
    "tries_table",
]
