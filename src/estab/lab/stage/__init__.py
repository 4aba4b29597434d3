"""The stage: two hosts and a wire, what serves and what loads there, and how both ends become one run."""
