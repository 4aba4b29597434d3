"""Running scenarios: the session that asks, the worker process that does, one scenario from prediction to control."""
