"""Values kept in memory for applications that ask again and again: :mod:`dynastash.cache.caching` is its face."""
