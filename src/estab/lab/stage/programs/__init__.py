"""Small servers that scenarios start as foreign programs."""
