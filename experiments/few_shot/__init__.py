"""Few-shot learning by metaopt: tasks that have nothing to do with video, and every rule on them.

Built on `metaopt` and `models` alone, as a user's own project would be.
"""
