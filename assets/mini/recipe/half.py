"""The type of large products: bfloat16 where the machine multiplies it in hardware, float32 where it would be emulated, which is
ten times slower than either (processors without AVX-512)."""
import torch

HALF = torch.bfloat16 if torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def autocast(device="cpu"):
    return torch.autocast(device, torch.bfloat16, enabled=HALF == torch.bfloat16)
