"""Texts that a file may hold in the place of a name, and that are none."""

BAD = ("", ".", "..", "../x", "/etc/x", "..\\x", "a\0b", "a\nb", "\ud800", "x" * 100_000)
IDS = ("empty", "dot", "dots", "up", "absolute", "backslash", "NUL", "lines", "surrogate", "long")
