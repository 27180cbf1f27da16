"""The compute device and its number types."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

CPU = torch.device("cpu")
BLOCK_CELLS = 10_000_000
"""Maximum number of scores in memory at a time: users times items of one block."""


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 counts as faster than float32: on a CUDA card that supports it, or a processor with instructions for it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    abilities: dict[str, Any] = dict(torch.cpu.get_capabilities()) if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


def pick_device(name: str) -> torch.device:
    """The device for a setting: auto, cpu or cuda."""
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def matmul_dtype(device: torch.device) -> torch.dtype:
    """Number type of the large matrix products: bf16 with sums in fp32 if that is fast on the device, otherwise fp32."""
    return torch.bfloat16 if has_fast_bf16(device) else torch.float32


def autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Autocast to bf16 if it is fast on the device; otherwise a no-op."""
    if has_fast_bf16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def free_memory(device: torch.device) -> int | None:
    """Free bytes on a CUDA card; None on other devices."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
