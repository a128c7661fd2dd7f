"""A page to see what the project is about: rules side by side on a video, in a browser."""
