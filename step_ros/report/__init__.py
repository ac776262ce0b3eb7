"""A replay as one HTML page that needs nothing else."""
