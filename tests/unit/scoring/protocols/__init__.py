"""The clients of model servers as far as they need no socket: settings, templates, documents, events, turns, tensors."""
