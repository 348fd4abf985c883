"""Frames become rows and rows become frames, each value exactly. It knows nothing of Kedro."""
