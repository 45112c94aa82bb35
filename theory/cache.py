"""The folder in which finished work is kept between runs: derivations, proofs, compiled programs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["cache_folder"]


def cache_folder(name: str, /) -> Path | None:
    """The folder ``name`` below ``$SHARPFLOW_CACHE``, or below ``sharpflow`` in the user's folder for caches.

    That is ``$XDG_CACHE_HOME`` where it is set, and what the system has otherwise (``~/.cache`` on Linux). It is made
    where it is missing. ``None`` where ``$SHARPFLOW_CACHE`` is ``off``, or the folder cannot be written.
    """
    wish, home = os.environ.get("SHARPFLOW_CACHE", ""), os.environ.get("XDG_CACHE_HOME", "")
    if wish == "off":
        return None
    if not wish:
        wish = os.path.join(home, "sharpflow") if home else platformdirs.user_cache_dir("sharpflow", appauthor=False)
    try:
        place = Path(wish).expanduser() / name
        place.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # not writable, or there is no home directory
        return None
    return place if os.access(place, os.W_OK) else None
