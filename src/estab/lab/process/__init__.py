"""Processes and namespaces: leaving the host, children, work in parallel."""
