"""Errors that are the user's to fix: the command line prints their message without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Bad input from the user; the message says what is wrong and what to do about it."""
