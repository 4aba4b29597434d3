"""The parts of `export`: a namespace over time (`namespace`, `history`), one scrape of all (`scrape`), and HTTP."""
