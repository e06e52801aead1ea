"""The local models: their files and their llama.cpp servers."""
