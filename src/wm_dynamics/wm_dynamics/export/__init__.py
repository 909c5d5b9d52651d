"""A world model as ONNX graphs: what is written, and how it is read again."""
