"""What an image, an index or another artifact is made of, told to people; nothing is changed."""
