"""Predicts the species of an iris from the sizes of its leaves."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
