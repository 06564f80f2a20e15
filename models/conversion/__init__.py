"""dlib's network files to ONNX: read strictly, fold, write the same bytes every time."""
