"""Choose the device to work on, and name it."""

import torch

from verify.errors import EnvironmentFault


def choose_device(requested: str) -> str:
    """Return the device to speak on; `auto` is CUDA where there is one, else the CPU.

    Raises:
        ConversionError: the requested device does not exist.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if requested == "auto":
        return "cuda" if cuda else "cpu"
    family, _, number = requested.partition(":")
    exists = {"cpu": True, "mps": mps, "cuda": cuda and int(number or 0) < torch.cuda.device_count()}.get(family, False)
    if not exists:
        visible = f"{torch.cuda.device_count()} CUDA devices" if cuda else "no CUDA device"
        hint = "Pass --device cpu."
        if family == "cuda" and torch.version.cuda is None and torch.version.hip is None:
            visible = "no CUDA device, because it is a build for the CPU alone"
            hint = "For a GPU install the CUDA build: https://pytorch.org/get-started/locally has the line for it. Or pass --device cpu."
        raise EnvironmentFault("no-device", f"--device {requested}: torch {torch.__version__} sees {visible}", hint)
    return requested


def choose_devices(requested: str) -> tuple[str, ...]:
    """Return the devices of `--device cpu,cuda`; the first speaks, the others are held against it.

    Raises:
        ConversionError: one of them does not exist.
    """
    return tuple(choose_device(part) for part in requested.split(","))


def device_name(device: str) -> str:
    """Return the device with the name of the GPU, where it is one."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device
