"""Responses to marks: rules for objective items, a model that proposes for free text."""
