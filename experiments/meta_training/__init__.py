"""The outer loop: batches of episodes, pools of features, steps, checkpoints."""
