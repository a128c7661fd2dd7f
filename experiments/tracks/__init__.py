"""What `experiments.track` and the demo share: targets, tracking through a video, results."""
