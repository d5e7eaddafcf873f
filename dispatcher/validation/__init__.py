"""Data → a pydantic model, or what is wrong with it in plain words."""
