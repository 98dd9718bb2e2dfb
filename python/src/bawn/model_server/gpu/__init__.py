"""Whether the GPU is really there and really used: what llama.cpp itself says, not what was asked for."""
