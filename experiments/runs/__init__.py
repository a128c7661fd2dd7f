"""What a run is: who may write to its folder, its finished cells, where its jobs run."""
