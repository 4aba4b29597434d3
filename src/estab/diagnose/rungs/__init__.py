"""The ladder's rungs: the client's, those of a host, the server's, and the rates. Snapshots in, `Limit`s out, no IO."""
