"""Calls of a plugin's functions: whatever goes wrong in them is said with their file and line."""

import inspect
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from asymbp_cli.errors import AsymbpError, PluginError, ran_out_of_memory

_LONGEST = 200  # letters of another error's message


def unwrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function under the decorators of others."""
    while isinstance(function, partial):
        function = function.func
    found: Callable[..., Any] = inspect.unwrap(function)
    return found


def locate(function: Callable[..., Any]) -> str:
    """Return the place and the name of a function: `my_scheme.py:5: add_noise`."""
    function = unwrap(function)
    code, name = getattr(function, "__code__", None), getattr(function, "__qualname__", repr(function))
    return f"{code.co_filename}:{code.co_firstlineno}: {name}" if code else name


def call(function: Callable[..., Any], inputs: Iterable[Tensor], *others: Any, **named: Any) -> Any:
    """Call a plugin's function with `inputs`, which it must not change, and other arguments.

    Raises PluginError with the line of the plugin that failed. Memory that ran out, and what a CUDA graph cannot
    capture, stay the errors that they are: another attempt continues in smaller stacks, or without graphs.
    """
    inputs = tuple(inputs)
    versions = [tensor._version for tensor in inputs]
    try:
        result = function(*inputs, *others, **named)
    except AsymbpError:
        raise
    except Exception as error:
        if ran_out_of_memory(error) or (torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()):
            raise
        raise PluginError(explain(error, function)) from error
    if versions != [tensor._version for tensor in inputs]:
        raise PluginError(f"{locate(function)} changes what it is given. Return a new tensor instead")
    return result


def explain(error: BaseException, function: Callable[..., Any]) -> str:
    """Return an error with the last line of the plugin's file that it came through."""
    code = getattr(unwrap(function), "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in frames if code and frame.filename == code.co_filename]
    where = f"{lines[-1].filename}:{lines[-1].lineno}: {lines[-1].name}" if lines else locate(function)
    return f"{where}: {describe_error(error)}"


def describe_error(error: BaseException) -> str:
    """Return the kind of an error and the first line of its message."""
    first_line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first_line}"[:_LONGEST].removesuffix(": ")


def check_result(function: Callable[..., Any], result: object, like: Tensor, what: str) -> Tensor:
    """Return a result that has the shape of `like` and is float32; raises PluginError otherwise.

    No value is read.
    """
    if not isinstance(result, Tensor):
        raise PluginError(f"{locate(function)} returns {type(result).__name__}, not a tensor: {what}")
    if result.shape != like.shape:
        shapes = [list(tensor.shape) for tensor in (result, like)]
        raise PluginError(f"{locate(function)} returns the shape {shapes[0]}, not {shapes[1]}: {what}")
    if result.dtype != torch.float32:
        raise PluginError(f"{locate(function)} returns {result.dtype}, not torch.float32: {what}")
    return result


def check_finite(function: Callable[..., Any], result: Tensor, what: str) -> Tensor:
    """Return a result without infinite numbers and NaN; raises PluginError otherwise. Reads values on the host."""
    if not bool(result.isfinite().all()):
        raise PluginError(f"{locate(function)} returns numbers that are not finite: {what}")
    return result
