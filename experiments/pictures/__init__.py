"""Drawings: boxes in frames, contact sheets, clips, plots of VOT results."""
