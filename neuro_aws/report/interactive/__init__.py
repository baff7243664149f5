"""Figures one can zoom and point at. The one package that imports bokeh, an extra.

What is drawn has no title and no legend of its own: these are text of the page, which a screen
reader reads. Names that come from a protocol or a recording are set as plain text: bokeh would
read $$ in them as mathematics, and fetch a library for it.
"""
