"""ROAM: a resizable filter, adapted by a recurrent network (Yang et al. 2020)."""
