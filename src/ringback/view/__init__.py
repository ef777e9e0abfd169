"""What the observatory shows: pages and JSON of the same quantities, served or as static files."""

from ringback.view.application import application, router
from ringback.view.pages import Pages, names_of
from ringback.view.publishing import publish
from ringback.view.refusing import refusing

__all__ = ["Pages", "application", "names_of", "publish", "refusing", "router"]
