"""The embedded image set: simulated immunofluorescence fields in 13 protein localisation classes."""
