"""Figures. Functions take Axes and data, and return the Axes."""
