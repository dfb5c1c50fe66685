"""Human Protein Atlas image classification challenge (Kaggle 2018): four channels, 28 localisation classes."""
