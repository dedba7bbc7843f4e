"""Fit and export the models that ship. The only place where torch may be imported."""
