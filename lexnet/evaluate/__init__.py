"""Arrays in, numbers out: how good is it, and how sure is that."""
