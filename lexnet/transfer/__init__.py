"""A frozen, pretrained net put to a new use."""
