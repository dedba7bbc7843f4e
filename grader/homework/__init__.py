"""Homework: a teacher makes an assignment, photographs what comes back, reviews what is in doubt, gives it back."""
