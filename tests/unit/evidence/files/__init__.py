"""What evaluation tools wrote, and how to have them write it again."""
