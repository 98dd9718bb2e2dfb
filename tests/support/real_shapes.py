"""Shapes of real models, for `shaped_gguf`: headers of their size, without their weights."""

from typing import Any, Final

import gguf

QWEN36_27B: Final[dict[str, Any]] = {
    "layers": 64,
    "embd": 5120,
    "ff": 17408,
    "heads": 24,
    "kv_heads": 4,
    "length": 256,
    "rope": 64,
    "vocabulary": 248320,
    "ssm": {"conv_kernel": 4, "inner_size": 6144, "state_size": 128, "time_step_rank": 48, "group_count": 16},
    "type": gguf.GGMLQuantizationType.Q4_K,
    "file_type": gguf.LlamaFileType.MOSTLY_Q4_K_M.value,
    "trained": 262144,
    "data": False,
}
