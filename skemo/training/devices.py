"""Devices: choosing one, reproducible results, and memory."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch

_Result = TypeVar("_Result")

_ONE_AT_A_TIME = threading.RLock()
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
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device={device!r}, but torch finds no CUDA device: use device="auto".')
    return resolved


@contextmanager
def reproducible(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Make the results of torch depend on `seed` only, not on global settings.

    Inside, gradients are recorded, and new tensors are float32 and on the CPU by default. On the
    CPU a single thread is used, since sums over several threads are rounded differently and
    their number depends on ``n_jobs``. On a GPU, `device` is the current device, and only
    convolution algorithms that are bitwise reproducible are used. Afterwards these settings and
    the state of torch's random generators are restored. As they are global to the process,
    threads wait for each other.
    """
    is_cuda = device.type == "cuda"
    current: AbstractContextManager = torch.cuda.device(device) if is_cuda else nullcontext()
    random = torch.random.fork_rng([device] if is_cuda else [])
    cudnn = torch.backends.cudnn
    with _ONE_AT_A_TIME, current, random, torch.enable_grad(), _default_types():
        if seed is not None:
            torch.manual_seed(seed)
        n_threads = torch.get_num_threads()
        deterministic, benchmark = cudnn.deterministic, cudnn.benchmark
        torch.set_num_threads(1)
        cudnn.deterministic = True
        cudnn.benchmark = False
        try:
            yield
        finally:
            torch.set_num_threads(n_threads)
            cudnn.deterministic = deterministic
            cudnn.benchmark = benchmark


@contextmanager
def _default_types() -> Iterator[None]:
    """Make new tensors float32 and on the CPU by default."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    if device.type != "cpu":
        torch.set_default_device(None)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        if device.type != "cpu":
            torch.set_default_device(device)


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
