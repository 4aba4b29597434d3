"""The wire between two hosts: a relay that delays, loses, filters, tracks flows, captures, and injects."""
