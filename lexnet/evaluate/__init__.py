"""How good is it, and how sure is that: arrays in, numbers out; `folder` brings a bundle and pictures."""
