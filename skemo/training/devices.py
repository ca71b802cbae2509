"""Devices: choosing one, reproducible results, and memory."""

import threading
from contextlib import contextmanager, nullcontext

import torch

_ONE_AT_A_TIME = threading.RLock()
_VALUES, _CPU_VALUES = 1 << 23, 1 << 18  # of windows that are evaluated together


def resolve_device(device):
    """Return the torch device that `device` names; "auto" is CUDA where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'device must be "auto" or a torch device, got {device!r}.') from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device={device!r}, but torch sees no CUDA device: use device="auto".')
    return resolved


@contextmanager
def reproducible(device, seed=None):
    """Run torch so that the result depends on `seed` and on nothing outside.

    The state of torch's random generators is put back afterwards, and so are the settings that
    a script may have changed: the default type is float32 here, the default device the CPU, and
    gradients are recorded. On the CPU one thread is used: the sums of several are rounded
    differently, and how many there are depends on ``n_jobs``. On a GPU `device` becomes the
    current one, and convolutions are those that give the same bits each time. All this is global
    to the process, so threads wait for each other.
    """
    is_cuda, cudnn = device.type == "cuda", torch.backends.cudnn
    current = torch.cuda.device(device) if is_cuda else nullcontext()
    random = torch.random.fork_rng([device] if is_cuda else [])
    with _ONE_AT_A_TIME, current, random, torch.enable_grad(), _default_types():
        if seed is not None:
            torch.manual_seed(seed)
        before = torch.get_num_threads(), cudnn.deterministic, cudnn.benchmark
        torch.set_num_threads(1)
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            cudnn.deterministic, cudnn.benchmark = before[1:]


@contextmanager
def _default_types():
    """New tensors are float32 and on the CPU, unless they say otherwise."""
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


def is_out_of_memory(error):
    """Whether an exception says that a device lacks memory; CUDA's libraries have their own."""
    texts = ("out of memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
    )


def out_of_memory(device):
    """The error for a device on which not even a single window fits, or no batch."""
    return MemoryError(
        f"The windows and the network do not fit into the memory of {device}: lower batch_size "
        'or n_filters, or use device="cpu".'
    )


def empty_cache(device):
    """Give memory that torch keeps for later back to the device, for other processes."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def block_size(n_values, device):
    """Number of windows to evaluate together, by the number of values of one of them.

    On a CPU more gain nothing, and a single window takes as long as a block; many small windows
    cost what calling torch costs. There it is a power of two: with sizes such as 93, oneDNN treats
    the last windows of a block unlike the others, by a rounding.
    """
    n_values = max(n_values, 1)
    if device.type == "cpu":
        return min(max(1 << (_CPU_VALUES // n_values).bit_length() >> 1, 64), 512)
    return max(_VALUES // n_values, 1)


def in_smaller_blocks(run, n_block, device):
    """Return ``run(n_block)``, with blocks half as large as long as memory does not suffice."""
    while True:
        try:
            return run(n_block)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        finally:
            empty_cache(device)
        # Here the exception is gone, and with it what it held on the device.
        empty_cache(device)
        if n_block == 1:
            raise out_of_memory(device)
        n_block //= 2
