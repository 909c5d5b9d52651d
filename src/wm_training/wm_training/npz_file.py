"""Reads the arrays of an ``.npz`` file that may come from anywhere, without trusting it."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

# What numpy and zipfile raise on damaged members, its parser of headers included.
UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    struct.error,
    SyntaxError,
    tokenize.TokenError,
    RuntimeError,
    LookupError,
    TypeError,
)
LARGEST_BYTES = 8 << 30  # a file that unpacks to more is no episode


class EpisodeError(ValueError):
    """A file that is no usable episode; the text says why."""


def load_arrays(file: Path) -> dict[str, np.ndarray]:
    """All arrays of a file, by name.

    Raises:
        EpisodeError: it is no ``.npz`` file, is cut off or damaged, or holds pickled objects.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST_BYTES:
            raise EpisodeError(f"it unpacks to {size >> 30} GiB, more than {LARGEST_BYTES >> 30}")
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except EpisodeError:
        raise
    except zipfile.BadZipFile as error:
        raise EpisodeError(f"it is no .npz file, or is cut off or damaged ({error})") from None
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise EpisodeError(
                "it holds Python objects; arrays of numbers are read only, nothing is unpickled"
            ) from None
        raise EpisodeError(f"it is damaged ({error})") from None
    except UNREADABLE as error:
        raise EpisodeError(f"it is not readable ({error})") from None
    except MemoryError:
        raise EpisodeError("an array says that it is larger than the memory") from None
    strange = [name for name, array in found.items() if not isinstance(array, np.ndarray)]
    if strange:
        raise EpisodeError(f"{strange[0]} is no array")
    return found
