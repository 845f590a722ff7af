"""Pictures changed at random, alike on every machine: all geometry in one warp, all colour in one matrix."""
