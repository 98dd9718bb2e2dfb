"""The CUDA build of llama.cpp: compiled here, read here, and refused where there is no GPU."""
