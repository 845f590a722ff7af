"""Training in torch: the loop, its schedule, and what a killed run goes on from."""
