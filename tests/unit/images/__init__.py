"""What goes into the images, and when they are made again."""
