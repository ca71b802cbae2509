"""Devices: choosing one, reproducible results, and memory."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch

_Result = TypeVar("_Result")

# Number of input values in a block of windows that are evaluated together.
_GPU_BLOCK_VALUES = 1 << 23
_CPU_BLOCK_VALUES = 1 << 18


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the torch device called `device`; "auto" is CUDA if available, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'device must be "auto" or a torch device, got {device!r}.') from error
    if resolved.type == "cuda":
        n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (resolved.index or 0) >= n_devices:
            found = f"only {n_devices} CUDA device(s)" if n_devices else "no CUDA device"
            raise ValueError(f'device={device!r}, but torch finds {found}: use device="auto".')
    elif resolved.type == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError(
                f'device={device!r}, but torch finds no MPS device: use device="auto".'
            )
    elif resolved.type != "cpu":
        raise ValueError(f'device must be "auto", or on the CPU, CUDA or MPS, got {device!r}.')
    return resolved


def check_precision(precision: str, device: torch.device) -> None:
    """Raise unless networks can be computed on a device with this precision."""
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f'precision must be "float32" or "bfloat16", got {precision!r}.')
    is_cuda = device.type == "cuda"
    if precision == "bfloat16" and (
        device.type == "mps"
        or (is_cuda and not torch.cuda.is_bf16_supported(including_emulation=False))
    ):
        raise ValueError(f'{device} does not support bfloat16: use precision="float32".')


class _Shared:
    """What the threads that are inside `reproducible` have in common."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_inside = 0
        self.n_threads = 1  # of torch, in the first thread that came in
        self.cudnn = (False, False)  # its settings before


_shared = _Shared()
_own = threading.local()  # `depth`: how often this thread is inside
if hasattr(os, "register_at_fork"):  # other threads, and their locks, do not exist in a fork
    os.register_at_fork(after_in_child=_shared.__init__)  # type: ignore[misc]


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Make the results of torch independent of settings that are made elsewhere.

    Inside, gradients are recorded, and new tensors are on the CPU by default. On the CPU a single
    thread is used, since sums over several threads are rounded differently and their number
    depends on ``n_jobs``. On a GPU, `device` is the current device, and only convolution
    algorithms that are bitwise reproducible are used. Afterwards these settings are restored.

    Threads do not wait for each other: all of this is the calling thread's own, except for two
    settings of the process, which the last thread to leave restores. These are cuDNN's, and the
    number of threads with which torch begins in a new thread.

    The default type of new tensors belongs to the process as well and is left alone, so types
    must be given. Random numbers must be drawn from a generator.
    """
    current: AbstractContextManager = nullcontext()
    if device.type == "cuda":
        current = torch.cuda.device(device)
    with _process_settings(), current, torch.enable_grad(), _on_cpu_by_default():
        yield


@contextmanager
def _process_settings() -> Iterator[None]:
    """Use a single thread and reproducible convolutions."""
    if getattr(_own, "depth", 0):
        yield
        return
    cudnn = torch.backends.cudnn
    with _shared.lock:
        n_threads = torch.get_num_threads()
        if _shared.n_inside == 0:
            _shared.n_threads = n_threads
            _shared.cudnn = cudnn.deterministic, cudnn.benchmark
        elif n_threads == 1:  # torch sees this thread for the first time, and has begun with 1
            n_threads = _shared.n_threads
        _shared.n_inside += 1
        torch.set_num_threads(1)
        cudnn.deterministic, cudnn.benchmark = True, False
    _own.depth = 1
    try:
        yield
    finally:
        _own.depth = 0
        with _shared.lock:
            _shared.n_inside = max(_shared.n_inside - 1, 0)  # a fork inside begins with 0
            torch.set_num_threads(n_threads)
            if _shared.n_inside == 0:
                cudnn.deterministic, cudnn.benchmark = _shared.cudnn


@contextmanager
def _on_cpu_by_default() -> Iterator[None]:
    device = torch.empty(0).device  # get_default_device fails in torch 2.6 after it was set to None
    if device.type == "cpu":
        yield
        return
    torch.set_default_device(None)  # of the calling thread
    try:
        yield
    finally:
        torch.set_default_device(device)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators, and restore them afterwards.

    For modules of the user's own, whose layers draw random numbers from them.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that a device has run out of memory.

    The libraries of CUDA raise plain RuntimeErrors, which are recognised by their text.
    """
    texts = ("out of memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
    )


def out_of_memory(device: torch.device) -> MemoryError:
    """Return the error for a device that has no room for a batch, or even a single window."""
    return MemoryError(
        f"The windows and the network do not fit into the memory of {device}: lower batch_size "
        'or n_filters, or use device="cpu".'
    )


def empty_cache(device: torch.device) -> None:
    """Release the unused GPU memory that torch keeps, so that other processes can use it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def block_size(n_values: int, device: torch.device) -> int:
    """Return how many windows of `n_values` values to evaluate together.

    On a CPU this is between 64 and 512: larger blocks are not faster, and in smaller ones the
    cost of calling torch dominates. It is a power of two there because with other sizes, such as
    93, oneDNN rounds the last windows of a block differently.
    """
    n_values = max(n_values, 1)
    if device.type != "cpu":
        return max(_GPU_BLOCK_VALUES // n_values, 1)
    n_windows = max(_CPU_BLOCK_VALUES // n_values, 1)
    power_of_two = 2 ** (n_windows.bit_length() - 1)
    return min(max(power_of_two, 64), 512)


def in_smaller_blocks(run: Callable[[int], _Result], n_block: int, device: torch.device) -> _Result:
    """Return ``run(n_block)``, halving `n_block` for as long as memory runs out.

    Raises
    ------
    MemoryError
        If memory runs out with blocks of one window.
    """
    while True:
        try:
            return run(n_block)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        finally:
            empty_cache(device)
        # Now that the exception is gone, so are the tensors that it referred to.
        empty_cache(device)
        if n_block == 1:
            raise out_of_memory(device)
        n_block //= 2
