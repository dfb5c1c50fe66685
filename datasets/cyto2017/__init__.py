"""CYTO 2017 image-analysis challenge: Human Protein Atlas fields in 13 localisation classes."""
