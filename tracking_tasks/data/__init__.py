"""Data: sequences, videos, episodes, and the renderer that makes them from photographs."""
