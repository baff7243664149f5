"""What a stranger's file and a week of bad luck can do: generated attacks, the same by number.

``protocols``, ``assignments``, ``facts``, ``lines``, ``folders`` and ``kills`` make them;
``invariant`` says what has to hold; ``cases`` gives each its kind and number; ``drive`` plays
thousands of them and keeps a journal.
"""
