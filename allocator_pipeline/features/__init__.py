"""Weekly signals out of point-in-time panels."""
