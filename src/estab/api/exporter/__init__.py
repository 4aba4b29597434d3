"""The parts of `export`: a namespace over time (`space`), what one scrape shows (`scrape`), and HTTP (`http`)."""
