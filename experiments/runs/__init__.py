"""What a run is: who may write to its folder, its finished trials, where its jobs run."""
