"""The library: one function a question, typed and synchronous. Load, observation and judgement are joined here."""
