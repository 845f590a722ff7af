"""From a trained net to one file that is checked before anyone gets to see it."""
