"""The model server beside llama.cpp's server and llama-cpp-python's own: `python -m bench.model`."""
