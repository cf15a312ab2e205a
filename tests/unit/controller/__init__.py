"""The pure parts of the controller, and its thin edges against a server of memory."""
