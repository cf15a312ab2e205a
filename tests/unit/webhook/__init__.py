"""The webhook without a socket: reviews in, reviews out."""
