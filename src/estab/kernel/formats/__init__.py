"""Bytes that the kernel wrote, read into plain values. One module a format; each raises ParseError and nothing else."""
