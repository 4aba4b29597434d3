"""What to do about a cause, and what people try that does nothing. Pure: a run in, remedies out."""
