"""The few functions of the CUDA runtime that a rollout needs, by ctypes: nothing to compile.

Loaded when a GPU is asked for, and absent otherwise without harm.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from wm_dynamics.errors import UserError

LIBRARIES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so")
# Numbers of CUDA's enumerations (driver_types.h).
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
_NON_BLOCKING, _THREAD_LOCAL = 1, 1
_TO_DEVICE, _TO_HOST = 1, 2


class Cuda:
    """One device and one stream.

    Args:
        library: of the CUDA runtime, loaded.
        device: number of the GPU.

    Raises:
        UserError: there is no such GPU.
    """

    def __init__(self, library: Any, device: int = 0):
        self._library = library
        library.cudaGetErrorString.restype = ctypes.c_char_p
        count = ctypes.c_int()
        # Before anything else: TensorRT may crash where there is none.
        self._do("cudaGetDeviceCount", ctypes.byref(count))
        if device >= count.value:
            raise UserError(f"no GPU {device} here, there are {count.value}; use another backend")
        self._do("cudaSetDevice", device)
        self.capability = ".".join(
            str(self._attribute(kind, device)) for kind in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR)
        )
        stream = ctypes.c_void_p()
        self._do("cudaStreamCreateWithFlags", ctypes.byref(stream), _NON_BLOCKING)
        self._stream = stream

    @property
    def stream(self) -> int:
        """Handle of the stream."""
        return int(self._stream.value or 0)

    def allocate(self, size: int) -> int:
        """Address of ``size`` new bytes on the device; at least 256-byte aligned."""
        pointer = ctypes.c_void_p()
        self._do("cudaMalloc", ctypes.byref(pointer), ctypes.c_size_t(size))
        return int(pointer.value or 0)

    def pinned(self, size: int) -> np.ndarray:
        """``size`` zero bytes on the host that the device can copy from by itself."""
        pointer = ctypes.c_void_p()
        self._do("cudaHostAlloc", ctypes.byref(pointer), ctypes.c_size_t(size), 0)
        block = (ctypes.c_uint8 * size).from_address(int(pointer.value or 0))
        array = np.ctypeslib.as_array(block)
        array[:] = 0
        return array

    def copy_in(self, device: int, host: np.ndarray) -> None:
        """Begin a copy of all of ``host`` to an address on the device."""
        self._copy(device, host.ctypes.data, host.nbytes, _TO_DEVICE)

    def copy_out(self, host: np.ndarray, device: int) -> None:
        """Begin a copy from an address on the device that fills ``host``."""
        self._copy(host.ctypes.data, device, host.nbytes, _TO_HOST)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record what ``work`` puts on the stream; what is returned does it again as one graph."""
        graph, made = ctypes.c_void_p(), ctypes.c_void_p()
        self._do("cudaStreamBeginCapture", self._stream, _THREAD_LOCAL)
        try:
            work()
        finally:
            # Also after an error: a stream that is being captured is of no use for anything.
            self._do("cudaStreamEndCapture", self._stream, ctypes.byref(graph))
        self._do("cudaGraphInstantiateWithFlags", ctypes.byref(made), graph, ctypes.c_ulonglong(0))
        return lambda: self._do("cudaGraphLaunch", made, self._stream)

    def wait(self) -> None:
        """Until the stream has done all."""
        self._do("cudaStreamSynchronize", self._stream)

    def _copy(self, target: int, source: int, size: int, kind: int) -> None:
        self._do(
            "cudaMemcpyAsync",
            ctypes.c_void_p(target),
            ctypes.c_void_p(source),
            ctypes.c_size_t(size),
            kind,
            self._stream,
        )

    def _attribute(self, kind: int, device: int) -> int:
        value = ctypes.c_int()
        self._do("cudaDeviceGetAttribute", ctypes.byref(value), kind, device)
        return value.value

    def _do(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code:
            reason = self._library.cudaGetErrorString(code).decode()
            raise UserError(f"CUDA: {name}: {reason}; use another backend")


def find_cuda(device: int = 0) -> Cuda:
    """The GPU ``device``.

    Raises:
        UserError: no CUDA runtime, or no such GPU.
    """
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        return Cuda(library, device)
    raise UserError(f"no CUDA runtime here ({', '.join(LIBRARIES)}); use another backend")
