# SPDX-License-Identifier: Apache-2.0
"""Runs models in this process through bridge.c."""
import ctypes

import numpy as np
from onnx import helper


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dims", ctypes.POINTER(ctypes.c_int64)),
                ("size_bytes", ctypes.c_uint64), ("dtype", ctypes.c_uint32),
                ("rank", ctypes.c_uint32)]


class Refused(Exception):
    """A device or the host said that it does not do this."""


class Failed(Exception):
    """Any other error."""


class Contradiction(Failed):
    """Values that contradict the model or each other."""


class Tenon:
    def __init__(self, bridge, plugins, device="reference:cpu", workers=0):
        self.library = ctypes.CDLL(str(bridge))
        self.library.bridge_open.restype = ctypes.c_void_p
        self.library.bridge_text.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p(self.library.bridge_open(str(plugins).encode(),
                                                               ctypes.c_uint32(workers)))
        if not self.handle:
            raise OSError("no Tenon host")
        self.device = device.encode()

    def call(self, name, *arguments):
        status = getattr(self.library, name)(self.handle, *arguments)
        if status != 0:
            text = self.library.bridge_text(self.handle).decode(errors="replace")
            kinds = {self.library.bridge_unsupported(): Refused,
                     self.library.bridge_invalid_data(): Contradiction}
            raise kinds.get(status, Failed)(f"{text} ({status})")

    def read(self, index):
        tensor = Tensor()
        self.call("bridge_output", ctypes.c_uint32(index), ctypes.byref(tensor))
        shape = tuple(tensor.dims[i] for i in range(tensor.rank))
        raw = ctypes.string_at(tensor.data, tensor.size_bytes) if tensor.size_bytes else b""
        return np.frombuffer(raw, helper.tensor_dtype_to_np_dtype(tensor.dtype)).reshape(shape)

    def configure(self, precision, compile_flags):
        """For models that are loaded from now on."""
        self.library.bridge_configure(self.handle, ctypes.c_uint32(precision),
                                      ctypes.c_uint32(compile_flags))

    def load(self, model_bytes):
        """Makes this the model that execute runs, until unload."""
        self.model_bytes = model_bytes  # Tenon reads its weights where they lie
        self.call("bridge_load", model_bytes, ctypes.c_uint64(len(model_bytes)), self.device)

    def execute(self, inputs, output_count):
        """The outputs for a list of arrays, in the order of the model's inputs."""
        arrays = [np.ascontiguousarray(a).reshape(np.shape(a)) for a in inputs]
        shapes = [(ctypes.c_int64 * max(a.ndim, 1))(*a.shape) for a in arrays]
        for array, shape in zip(arrays, shapes):
            self.call("bridge_shape", ctypes.c_uint32(array.ndim), shape)
        self.call("bridge_prepare")
        for i, array in enumerate(arrays):
            self.call("bridge_write", ctypes.c_uint32(i), array.ctypes.data_as(ctypes.c_void_p),
                      ctypes.c_uint64(array.nbytes))
        self.call("bridge_run")
        return [self.read(i) for i in range(output_count)]

    def unload(self):
        self.library.bridge_unload(self.handle)
