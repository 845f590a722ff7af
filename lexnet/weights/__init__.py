"""Pretrained weights: what there is, whose it is, and the nets filled with it."""
