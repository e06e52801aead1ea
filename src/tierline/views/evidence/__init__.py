"""What shows how good a tier is: labels, evaluations, promises, drift."""
