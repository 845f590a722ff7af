"""Labelled pictures: where they are, what they are called, which part they belong to."""
