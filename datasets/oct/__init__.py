"""Retinal OCT (Kermany et al. 2018, OCT2017): B-scans in four classes, split by patient."""
