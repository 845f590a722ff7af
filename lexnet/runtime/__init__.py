"""Runs bundles: NumPy, Pillow and ONNX Runtime are all it needs."""
