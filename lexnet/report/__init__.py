"""The run's page: what was measured, how sure that is, and what went wrong, in one HTML file."""
