"""The parts of `export`: one namespace over time (`space`, `history`), one scrape of all (`scrape`), HTTP (`http`)."""
