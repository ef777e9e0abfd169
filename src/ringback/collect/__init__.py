"""Receives, validates, scrubs, spools; imports other tools' data."""
