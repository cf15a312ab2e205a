"""Each way of scoring, in both directions: what is right is called right, what is wrong is called wrong."""
